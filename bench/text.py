"""Text of others (models, servers, files) -> text that is inert where it is shown. One function a format."""

from __future__ import annotations

import re
import shlex
from html import escape

LONGEST = 4000  # characters of a line
BREAKS = re.compile(r"\s*[\t-\r\x1c-\x1f\x85\u2028\u2029]\s*")
MARKUP = re.compile(
    r"[\\`*~|<]"  # escapes, code, emphasis, struck text, cells of a table, tags
    r"|(?<![^\W_])_|_(?![^\W_])"  # emphasis; a_b is a name
    r"|\](?=[(\[:])"  # links and images, wherever they are defined
    r"|(?<=:)/(?=/)|(?<=www)\."  # addresses, of which some readers make links
    r"|&(?=#?\w+;)"  # entities, which could spell all these
    r"|^(?:>|#+(?=\s|$)|[+-](?=\s|$)|[=-]+$|\[(?=[ xX]\]))"  # quotes, headings, lists, rules, check boxes
    r"|^\d{1,9}(?=[.)](?:\s|$))"  # numbered lists
)
FORMULA = ("=", "+", "-", "@")
LATEX = str.maketrans(
    {character: f"\\{character}" for character in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "→": r"$\to$"}
)


def in_words(seconds: float) -> str:
    """ "40 s", "3 min", "2.5 h"."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.3g} h"


def printable(text: str) -> str:
    """For a terminal: one line without control characters, cut after 4,000 characters."""
    line = BREAKS.sub(" ", text[: 2 * LONGEST])
    shown = line
    if not line.isprintable():
        shown = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in line)
    return shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}…"


def say(*lines: str) -> None:
    """Print lines in which others' text may stand."""
    print(*map(printable, lines), sep="\n", flush=True)


def inert(text: str) -> str:
    """For Markdown: no markup, code, link or image, and no border of a table's cell."""
    return MARKUP.sub(escaped, printable(text).strip())


def escaped(found: re.Match[str]) -> str:
    """A character that is shown as itself. Digits have no escape: the point behind them has."""
    if found[0] == "<":
        return "&lt;"  # inert even where a reader knows no escapes
    return f"{found[0]}\\" if found[0].isdigit() else f"\\{found[0]}"


def html(text: str) -> str:
    """For HTML, in an element or a quoted attribute."""
    return escape(printable(text))


def csv_cell(text: str) -> str:
    """For a cell of CSV that a spreadsheet opens: no formula."""
    line = printable(text)
    return f"'{line}" if line.startswith(FORMULA) else line


def latex(text: str) -> str:
    """For LaTeX, in running text or a cell."""
    return printable(text).translate(LATEX)


def shell(text: object) -> str:
    """For a shell script: one word. Raises ValueError for control characters, which no quote holds."""
    if not str(text).isprintable():
        raise ValueError(f"{str(text)!a} has a line break or control character. Rename it.")
    return shlex.quote(str(text))
