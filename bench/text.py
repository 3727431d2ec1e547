"""What others wrote (models, checkpoints, suite files) -> text that does nothing where it is shown."""

from __future__ import annotations


def printable(text: str) -> str:
    """On one line, without control characters: it must not steer the terminal."""
    line = " ".join(text.split())
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in line)


def inert(text: str) -> str:
    """As Markdown that is text: no markup, no code, no border of a table's cell."""
    return printable(text).replace("<", "&lt;").replace("`", "\\`").replace("|", "\\|")
