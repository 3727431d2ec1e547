"""Completion -> Answer: the contents of each box as the model states them."""

from __future__ import annotations

import re

from bench.boxes.wording import WORDINGS
from bench.decoding.constraint import Constraint
from bench.records import Answer, Completion, Contents


def read_answer(completion: Completion, constraint: Constraint, version: str = "base", num_boxes: int = 7) -> Answer:
    """What the completion says; a box that it does not name is None."""
    text = completion.text.strip()
    if constraint.matches(text):
        form = "whole"
    else:
        form = "cut" if completion.finish_reason == "length" else "malformed"
    return Answer(read_boxes(text, version, num_boxes), form)


def read_boxes(text: str, version: str = "base", num_boxes: int = 7) -> tuple[Contents | None, ...]:
    """The contents of each box, None where the text has no clause for it. A repeated box counts as first said."""
    wording = WORDINGS[version]
    found: list[Contents | None] = []
    for box in range(num_boxes):
        clause = re.escape(wording.describe_box(box, ())).replace("nothing", "(?P<contents>[^,.]*)")
        match = re.search(clause, text)
        found.append(read_contents(match["contents"]) if match else None)
    return tuple(found)


def read_contents(text: str) -> Contents | None:
    """"the key and the apple" -> {"apple", "key"}; "nothing" -> the empty set; "" is unreadable."""
    names = [re.sub(r"^(the|an?) ", "", part.strip()) for part in text.strip().split(" and ")]
    if names == ["nothing"]:
        return frozenset()
    return None if names == [""] else frozenset(names)
