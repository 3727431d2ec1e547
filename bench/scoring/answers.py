"""Completion -> Answer: the contents of each box as the model states them.

What counts as stating a box is what the paper's released scripts take for it (Kim, Schuster & Toshniwal
2024, branch shtoshni/outlines), so that figures made here can be laid beside the literature's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from bench.records import Answer, Completion, Contents
from bench.task.wording import WORDINGS

if TYPE_CHECKING:  # what follows runs in environments that have none of our dependencies
    from bench.decoding.constraint import Constraint

OPENING = "Box 0 contains"  # said by no clause but the first, which is known by its place
NEXT_BOX = re.compile(r", and Box|, Box| and Box|; Box")
NEXT_CONTAINER = re.compile(r", and Container|, Container| and Container")


def read_answer(
    completion: Completion, constraint: Constraint, version: str = "base", num_boxes: int = 7
) -> Answer:
    """What the completion says; a box that it does not name is None. Unfinished thinking says nothing."""
    if completion.finish_reason == "unfinished":
        return Answer((None,) * num_boxes, "unfinished")
    found = statements(completion.text, version, num_boxes)
    boxes = tuple(None if clause is None else read_contents(clause) for clause in found)
    if constraint.matches(completion.text.strip()):
        return Answer(boxes, "whole")
    return Answer(boxes, "cut" if completion.finish_reason == "length" else "malformed")


def statements(text: str, version: str = "base", num_boxes: int = 7) -> list[str | None]:
    """What a text says of each box, in its version's words; None where that is not readable."""
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
    """What a text says of box 0, box 1, ...: its words after the verb, None where it says nothing readable.

    The statement ends at its first full stop. The first clause is box 0's; the others go by their first
    character, so that their order is free, and of a repeated box the alphabetically first clause counts
    where boxes are missing. If the first clause lacks a box but keeps its verb, all clauses keep theirs.
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
    """A statement cut before each box but the first; "The car is in Container A" is turned round."""
    if "Box " in text:
        return NEXT_BOX.split(text)
    if "is in" in text or "are in" in text or "is nothing in" in text:
        text = re.sub(r"(in Container [A-Z0-9]) (and )?the", r"\1, the", text)
        text = re.sub(r", ([a-zA-Z- ]+) (is|are) in (Container [A-Z0-9])", r", \3 contains \1", text)
        text = re.sub(r"(, )?[Tt]here is nothing in (Container [A-Z0-9])", r", \2 is empty", text)
    return NEXT_CONTAINER.split(text)


def complete(pieces: Sequence[str], num_boxes: int) -> list[str]:
    """The pieces, with a blank one for each missing box and no repeats, if there were fewer than boxes."""
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
    """The box of a piece that was cut before its number or letter."""
    name = piece.strip()[:1]
    for names in ("0123456789", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"):
        if name and name in names[:num_boxes]:
            return names.index(name)
    return None


def after_box(piece: str, keeps_verb: bool) -> str | None:
    """The contents of a piece, with their verb where all clauses keep it; None if it has no verb."""
    if "contains " in piece:
        verb, contents = "contains ", piece.partition("contains ")[2]
    elif "is " in piece:
        verb, contents = "is ", piece.partition("is ")[2]
    else:
        return None
    if keeps_verb:
        return verb + contents
    return contents if verb == "contains " else "nothing"
