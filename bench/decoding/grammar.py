"""Regex -> GBNF, the grammars of llama.cpp: for regexes of the kind that constraints are made of."""

from __future__ import annotations

import json
import re

from bench.inputs import InputError

PARTS = re.compile(
    r"(?P<operator>\((?!\?)|[)|*+?]|\{\d+(,\d*)?\})"  # written the same in both
    r"|(?P<characters>\[(?:[^\\\[\]]|\\[\\\[\]^-])+\])"  # a class, the same too
    r"|\\(?P<escaped>[^A-Za-z0-9])"
    r"|(?P<plain>[^\\.^$(){}\[\]])"
)


def gbnf(regex: str) -> str:
    """A grammar of one rule for what the regex matches.

    Raises ValueError for anything but characters, classes, groups, |, *, +, ? and {m,n}.
    """
    said, place = [], 0
    while place < len(regex):
        part = PARTS.match(regex, place)
        if part is None:
            raise InputError(f"no grammar can be made from {regex!r}: {regex[place:]!r} is of another kind.")
        character = part["escaped"] or part["plain"]
        said.append(json.dumps(character) if character else part[0])
        place = part.end()
    return f"root ::= {' '.join(said)}"
