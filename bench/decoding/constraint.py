"""Protocol, version of the task -> regex; whether a completion matches it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from bench.boxes.wording import WORDINGS
from bench.prompts import STATEMENT, Protocol


@dataclass(frozen=True, slots=True)
class Constraint:
    """What an answer may be: one fixed regex for all prompts, and its length in tokens."""

    regex: str
    max_new_tokens: int

    def matches(self, text: str) -> bool:
        return re.fullmatch(self.regex, text) is not None


def constraint(protocol: Protocol, version: str = "base", num_boxes: int = 7) -> Constraint:
    """The constraint of a protocol for one version of the task."""
    wording = WORDINGS[version]
    contents = protocol.contents.replace("<name>", wording.name)
    clauses = []
    for box in range(num_boxes):
        before, after = wording.clause.format(box=wording.name_box(box), objects="\0").split(" \0")
        clauses.append(re.escape(before).replace(r"\ ", " ") + contents + re.escape(after))
    return Constraint(STATEMENT + ", ".join(clauses) + r"\.", protocol.max_new_tokens)
