"""Sentences -> state and operations, in each version of the task: the inverse of wording.py."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from bench.records import Contents, Operation, Scenario, State
from bench.task.wording import WORDINGS, Wording, noun
from bench.task.world import MAX_OBJECTS, apply

ROLES = ("source", "target")
KINDS = ("move_all", "put", "move", "remove")


@dataclass(frozen=True, slots=True)
class Patterns:
    """Regexes for the sentences of a version. stated: a clause of an answer or of a released row."""

    clauses: tuple[re.Pattern[str], ...]
    stated: tuple[re.Pattern[str], ...]
    operations: tuple[re.Pattern[str], ...]


def parse(description: str, version: str = "base") -> Scenario:
    """The scenario of a description, without an id.

    Raises ValueError that names a sentence in other words than the version's, or an impossible operation.
    """
    first, *others = description.removesuffix(".").split(". ")
    initial = state = parse_state(first, version)
    operations = []
    for sentence in others:
        operation = parse_operation(f"{sentence}.", state, version)
        state = apply(state, operation)
        operations.append(operation)
    return Scenario("", initial, tuple(operations), version)


def parse_state(sentence: str, version: str) -> State:
    """The boxes in the first sentence, which is given without its full stop."""
    boxes = []
    for place, clause in enumerate(sentence.split(", ")):
        box, contents = parse_clause(re.sub("^The", "the", clause), version)
        if box != place:
            raise ValueError(f"{clause!r} is at the place of box {place}")
        boxes.append(contents)
    everything = [name for contents in boxes for name in contents]
    if len(everything) != len(set(everything)) or any(len(contents) > MAX_OBJECTS for contents in boxes):
        raise ValueError(f"{sentence!r} puts an object twice, or more than {MAX_OBJECTS} in a box")
    return tuple(boxes)


def parse_clause(clause: str, version: str, stated: bool = False) -> tuple[int, Contents]:
    """The box of a clause and its contents. stated: the clause is from an answer, not from a description."""
    patterns = patterns_of(version)
    for pattern in patterns.stated if stated else patterns.clauses:
        if match := pattern.fullmatch(clause):
            groups = match.groupdict()
            return number_of(groups["box"]), parse_objects(groups.get("objects") or "nothing")
    raise ValueError(f"{clause!r} is not a clause about a box in version {version}")


def parse_operation(sentence: str, state: State, version: str) -> Operation:
    """One operation. state: the state before it, which identifies ambiguous objects."""
    wording = WORDINGS[version]
    for pattern in patterns_of(version).operations:
        if match := pattern.fullmatch(sentence):
            groups = match.groupdict()
            source, target = (number_of(groups[role]) if role in groups else None for role in ROLES)
            if any(box is not None and box >= len(state) for box in (source, target)):
                raise ValueError(f"{sentence!r} names a box that does not exist")
            left = frozenset() if source is None else state[source]
            objects = parse_objects(groups["objects"]) if "objects" in groups else left
            if wording.drops_adjectives and source is not None:
                objects = frozenset(full_name(name, left) for name in objects)
            return Operation(objects, source, target)
    raise ValueError(f"{sentence!r} is not an operation in version {version}")


def parse_objects(text: str) -> Contents:
    """The apple and the key -> {"apple", "key"}; nothing -> the empty set."""
    if text == "nothing":
        return frozenset()
    names = text.split(" and ")
    if not all(name.startswith("the ") for name in names) or len(set(names)) < len(names):
        raise ValueError(f"{text!r} is not a list of different objects")
    return frozenset(name.removeprefix("the ") for name in names)


def full_name(name: str, contents: Contents) -> str:
    """The full name of an object named without its adjective; the name itself if none or several match."""
    meant = [other for other in contents if noun(other) == name]
    return meant[0] if len(meant) == 1 and name not in contents else name


def number_of(name: str) -> int:
    return int(name) if name.isdigit() else ord(name) - ord("A")


@cache
def patterns_of(version: str) -> Patterns:
    """The templates of a version as regexes. Some folders of the release write "is empty" for "nothing"."""
    wording = WORDINGS[version]
    stated = ("{box} is empty", wording.clause)
    operations = [getattr(wording, kind) for kind in KINDS if getattr(wording, kind)]
    return Patterns(
        clauses=compiled([wording.empty, wording.one, wording.several, *stated], wording),
        stated=compiled(stated, wording),
        operations=compiled(operations, wording),
    )


def compiled(templates: Iterable[str], wording: Wording) -> tuple[re.Pattern[str], ...]:
    """A regex for each template."""
    box = wording.box.format(number=r"\d", letter="[A-Z]")
    name, _, symbol = box.rpartition(" ")
    groups = {role: f"{name} (?P<{role}>{symbol})" for role in ("box", "source", "target")}
    groups |= {"objects": "(?P<objects>.+)", "them": "(?:it|them)"}
    texts = [template.replace(".", r"\.").format(**groups) for template in dict.fromkeys(templates)]
    return tuple(re.compile(text) for text in texts)
