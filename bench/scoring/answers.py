"""Completion -> Answer: the contents of each box as the model states them.

The reading rules are those of the paper's released scripts (Kim, Schuster & Toshniwal 2024, branch
shtoshni/outlines), so our figures are comparable with the literature.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from bench.records import Answer, Completion, Contents
from bench.task.wording import WORDINGS

if TYPE_CHECKING:  # this module also runs in environments without our dependencies
    from bench.task.prompts import Constraint

OPENING = "Box 0 contains"  # only the first clause may begin so; it is recognized by its place
NEXT_BOX = re.compile(r", and Box|, Box| and Box|; Box")
NEXT_CONTAINER = re.compile(r", and Container|, Container| and Container")


def read_answer(
    completion: Completion, constraint: Constraint, version: str = "base", num_boxes: int = 7
) -> Answer:
    """The boxes that a completion states; None for each other box, and for all if thinking did not end."""
    if completion.finish_reason == "unfinished":
        return Answer((None,) * num_boxes, "unfinished")
    found = statements(completion.text, version, num_boxes)
    boxes = tuple(None if clause is None else read_contents(clause) for clause in found)
    if constraint.matches(completion.text.strip()):
        return Answer(boxes, "whole")
    return Answer(boxes, "cut" if completion.finish_reason == "length" else "malformed")


def statements(text: str, version: str = "base", num_boxes: int = 7) -> list[str | None]:
    """The clause of each box in a text, in the words of the version; None if it is not readable."""
    opening = WORDINGS[version].describe_box(0, ()).removesuffix(" nothing")
    return clauses(text.strip(), num_boxes, opening)


@lru_cache(maxsize=10_000)  # models repeat themselves, and each other
def read_contents(clause: str) -> Contents | None:
    """The key and the apple -> {"apple", "key"}; nothing -> the empty set; an empty clause is unreadable."""
    text = clause.strip().strip(".").strip()
    if text == "nothing":
        return frozenset()
    names = frozenset(re.sub(r"\bthe ", "", name) for name in split_names(text))
    return None if names == {""} or "nothing" in text or "is empty" in text else names


def split_names(clause: str) -> list[str]:
    """The objects of a clause, articles included."""
    return re.split(r",? and |, ", clause.replace("contains ", ""))


def clauses(text: str, num_boxes: int = 7, opening: str = OPENING) -> list[str | None]:
    """The clause of box 0, box 1, ...: its words after the verb, or None if it is not readable.

    The statement ends at its first full stop. The first clause belongs to box 0. Every other clause belongs
    to the box of its first character, so the order is free. If boxes are missing and a box is repeated, its
    alphabetically first clause counts. If the first clause has a verb but no box, all clauses keep the verb.
    """
    text = " ".join(text.split())
    if "Statement:" in text:
        text = text.split("Statement:")[1]
    first, *others = split_boxes(text.replace(opening, "").partition(".")[0])
    pieces = complete([first, *sorted(others)], num_boxes)[:num_boxes]
    first = "is empty" if pieces[0].startswith("is empty,") else pieces[0].strip()
    keeps_verb = first.startswith(("contains", "is"))
    return [first, *(after_box(piece, keeps_verb) for piece in pieces[1:])]


def split_boxes(text: str) -> list[str]:
    """Split a statement before each box except the first. "The car is in Container A" is inverted first."""
    if "Box " in text:
        return NEXT_BOX.split(text)
    if "is in" in text or "are in" in text or "is nothing in" in text:
        text = re.sub(r"(in Container [A-Z0-9]) (and )?the", r"\1, the", text)
        text = re.sub(r", ([a-zA-Z- ]+) (is|are) in (Container [A-Z0-9])", r", \3 contains \1", text)
        text = re.sub(r"(, )?[Tt]here is nothing in (Container [A-Z0-9])", r", \2 is empty", text)
    return NEXT_CONTAINER.split(text)


def complete(pieces: Sequence[str], num_boxes: int) -> list[str]:
    """If there are fewer pieces than boxes: remove repeats and add a blank piece for each missing box."""
    found = list(pieces)
    if len(found) >= num_boxes:
        return found
    named = {0}
    for piece in pieces[1:]:
        box = box_of(piece, num_boxes)
        if box in named:
            found.remove(piece)
        elif box is not None:
            named.add(box)
    for box in range(num_boxes):
        if box not in named:
            found.insert(box, "")
    return found


def box_of(piece: str, num_boxes: int) -> int | None:
    """The box of a piece that begins with the number or letter of its box."""
    name = piece.strip()[:1]
    for names in ("0123456789", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"):
        if name and name in names[:num_boxes]:
            return names.index(name)
    return None


def after_box(piece: str, keeps_verb: bool) -> str | None:
    """The contents of a piece, with the verb if all clauses keep it; None if it has no verb."""
    if "contains " in piece:
        verb, contents = "contains ", piece.partition("contains ")[2]
    elif "is " in piece:
        verb, contents = "is ", piece.partition("is ")[2]
    else:
        return None
    if keeps_verb:
        return verb + contents
    return contents if verb == "contains " else "nothing"
