"""Protocol, version of the task -> the regex for answers, also as a grammar for llama.cpp."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache

from bench.inputs import InputError
from bench.task.prompts import STATEMENT, Protocol
from bench.task.wording import WORDINGS

PARTS = re.compile(
    r"(?P<operator>\((?!\?)|[)|*+?]|\{\d+(,\d*)?\})"  # the same in both
    r"|(?P<characters>\[(?:[^\\\[\]]|\\[\\\[\]^-])+\])"  # a character class, the same in both
    r"|\\(?P<escaped>[^A-Za-z0-9])"
    r"|(?P<plain>[^\\.^$(){}\[\]])"
)


@dataclass(frozen=True, slots=True)
class Constraint:
    """The form of an answer: one fixed regex for all prompts, and the limit in tokens."""

    regex: str
    max_new_tokens: int

    def matches(self, text: str) -> bool:
        return re.fullmatch(self.regex, text) is not None


@cache
def constraint(protocol: Protocol, version: str = "base", num_boxes: int = 7) -> Constraint:
    """The constraint of a protocol for one version of the task.

    A protocol's limit is for seven boxes in the words of the base version. For longer statements, it grows in
    proportion to the statement that all boxes are empty.
    """
    wording = WORDINGS[version]
    contents = protocol.contents.replace("<name>", wording.name)
    clauses = []
    for box in range(num_boxes):
        before, after = wording.clause.format(box=wording.name_box(box), objects="\0").split(" \0")
        clauses.append(re.escape(before).replace(r"\ ", " ") + contents + re.escape(after))
    longer = max(1.0, empty_length(version, num_boxes) / empty_length("base", 7))
    return Constraint(STATEMENT + ", ".join(clauses) + r"\.", round(protocol.max_new_tokens * longer))


def empty_length(version: str, num_boxes: int) -> int:
    """The number of characters in the statement that all boxes are empty."""
    return len(WORDINGS[version].state_all((frozenset(),) * num_boxes))


def gbnf(regex: str) -> str:
    """A grammar with one rule in llama.cpp's format, GBNF, equivalent to the regex.

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
