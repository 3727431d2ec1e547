"""Untrusted text (from models, servers, files) -> text without effect where it is shown, for each format."""

from __future__ import annotations

import re
import shlex
from html import escape

LONGEST = 4000  # characters per line
BREAKS = re.compile(r"\s*[\t-\r\x1c-\x1f\x85\u2028\u2029]\s*")
MARKUP = re.compile(
    r"[\\`*~|<]"  # escapes, code, emphasis, struck text, cells of a table, tags
    r"|(?<![^\W_])_|_(?![^\W_])"  # emphasis; a_b is a name
    r"|\](?=[(\[:])"  # links and images, wherever they are defined
    r"|(?<=:)/(?=/)|(?<=www)\."  # addresses, which some readers turn into links
    r"|&(?=#?\w+;)"  # entities, which could spell all of these
    r"|^(?:>|#+(?=\s|$)|[+-](?=\s|$)|[=-]+$|\[(?=[ xX]\]))"  # quotes, headings, lists, rules, check boxes
    r"|^\d{1,9}(?=[.)](?:\s|$))"  # numbered lists
)
FORMULA = ("=", "+", "-", "@")
LATEX = str.maketrans(
    {character: f"\\{character}" for character in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "→": r"$\to$"}
)


def in_words(seconds: float) -> str:
    """A time as text, such as "40 s", "3 min" or "2.5 h"."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.3g} h"


def counted(number: int, noun: str) -> str:
    """A number and its noun, such as "1 prompt" or "12 prompts"."""
    return f"{number} {noun}{'s' * (number != 1)}"


def printable(text: str) -> str:
    """Text for a terminal: one line without control characters, cut after 4,000 characters."""
    line = BREAKS.sub(" ", text[: 2 * LONGEST])
    shown = line
    if not line.isprintable():
        shown = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in line)
    return shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}…"


def say(*lines: str) -> None:
    """Print lines that may contain untrusted text."""
    print(*map(printable, lines), sep="\n", flush=True)


def inert(text: str) -> str:
    """Text for Markdown, without markup, code, link, image or cell border."""
    return MARKUP.sub(escaped, printable(text).strip())


def escaped(found: re.Match[str]) -> str:
    """The escaped character. A digit cannot be escaped, so the point after it is."""
    if found[0] == "<":
        return "&lt;"  # also without effect in readers that ignore backslashes
    return f"{found[0]}\\" if found[0].isdigit() else f"\\{found[0]}"


def html(text: str) -> str:
    """Text for HTML, in an element or a quoted attribute."""
    return escape(printable(text))


def csv_cell(text: str) -> str:
    """Text for a cell of CSV. A spreadsheet does not read it as a formula."""
    line = printable(text)
    return f"'{line}" if line.startswith(FORMULA) else line


def latex(text: str) -> str:
    """Text for LaTeX, in running text or a cell."""
    return printable(text).translate(LATEX)


def shell(text: object) -> str:
    """One word for a shell script. Raises ValueError for control characters, which cannot be quoted."""
    if not str(text).isprintable():
        raise ValueError(f"{str(text)!a} has a line break or control character. Rename it.")
    return shlex.quote(str(text))
