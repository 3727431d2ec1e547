"""Regex -> GBNF, the grammar format of llama.cpp, for the kind of regexes in our constraints."""

from __future__ import annotations

import json
import re

from bench.inputs import InputError

PARTS = re.compile(
    r"(?P<operator>\((?!\?)|[)|*+?]|\{\d+(,\d*)?\})"  # the same in both
    r"|(?P<characters>\[(?:[^\\\[\]]|\\[\\\[\]^-])+\])"  # a character class, the same in both
    r"|\\(?P<escaped>[^A-Za-z0-9])"
    r"|(?P<plain>[^\\.^$(){}\[\]])"
)


def gbnf(regex: str) -> str:
    """A grammar with one rule, equivalent to the regex.

    Raises ValueError for anything but characters, classes, groups, |, *, +, ? and {m,n}.
    """
    said, place = [], 0
    while place < len(regex):
        part = PARTS.match(regex, place)
        if part is None:
            raise InputError(f"no grammar can be made from {regex!r}: {regex[place:]!r} is not supported.")
        character = part["escaped"] or part["plain"]
        said.append(json.dumps(character) if character else part[0])
        place = part.end()
    return f"root ::= {' '.join(said)}"
