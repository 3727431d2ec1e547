"""State and operations -> sentences and back, in each version of the task.

Source of the templates: Kim & Schuster (2023), aclanthology.org/2023.acl-long.213, section 4 and appendix.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Literal

from bench.records import Contents, Operation, Scenario, State
from bench.task.world import MAX_OBJECTS, apply

MASK = "<extra_id_0>"  # placeholder for a box's contents in the rows of the released data
ROLES = ("source", "target")


@dataclass(frozen=True, slots=True)
class Wording:
    """The sentence templates of one version of the task.

    clause: one box in an answer or in a row of the released data. empty, one, several: one box with 0, 1 or
    more objects in the initial description. move_all: a move of all contents of a box, without the names of
    the objects. name: regex for an object's name. drops_adjectives: whether "the red cup" becomes "the cup"
    if it is the only cup in the box that it leaves.
    """

    box: str = "Box {number}"
    clause: str = "{box} contains {objects}"
    empty: str = "{box} contains {objects}"
    one: str = "{box} contains {objects}"
    several: str = "{box} contains {objects}"
    put: str = "Put {objects} into {target}."
    move: str = "Move {objects} from {source} to {target}."
    remove: str = "Remove {objects} from {source}."
    move_all: str | None = None
    name: str = "[a-z]+"
    drops_adjectives: bool = False

    def name_box(self, box: int) -> str:
        return self.box.format(number=box, letter=chr(ord("A") + box))

    def describe_box(self, box: int, contents: Iterable[str]) -> str:
        """A clause without its full stop: "Box 0 contains the car"."""
        return self.clause.format(box=self.name_box(box), objects=name_objects(contents))

    def state_all(self, state: State) -> str:
        """All boxes in one sentence, in the form of an answer."""
        return ", ".join(self.describe_box(box, contents) for box, contents in enumerate(state)) + "."

    def describe(self, state: State) -> str:
        """All boxes in one sentence, in the form of a description's first sentence."""
        clauses = []
        for box, contents in enumerate(state):
            template = (self.empty, self.one, self.several)[min(len(contents), 2)]
            clauses.append(template.format(box=self.name_box(box), objects=name_objects(contents)))
        text = ", ".join(clauses) + "."
        return text[0].upper() + text[1:]

    def narrate(self, operation: Operation, before: State | None = None) -> str:
        """One operation as a sentence. before: the state that it changes, for versions that need it."""
        objects, source, target = operation.objects, operation.source, operation.target
        left = None if before is None or source is None else before[source]
        template = getattr(self, operation.kind)
        if self.move_all and target is not None and objects == left:
            template = self.move_all
        if self.drops_adjectives and left is not None:
            objects = frozenset(short_name(name, left) for name in objects)
        return template.format(
            objects=name_objects(objects),
            them="it" if len(objects) == 1 else "them",
            source=None if source is None else self.name_box(source),
            target=None if target is None else self.name_box(target),
        )


def short_name(name: str, contents: Contents) -> str:
    """The noun alone if the contents have no other object with that noun."""
    nouns = Counter(noun(other) for other in contents)
    return noun(name) if nouns[noun(name)] == 1 else name


def noun(name: str) -> str:
    return name.rpartition(" ")[2]


def name_objects(objects: Iterable[str]) -> str:
    """As in "the apple and the key", sorted; "nothing" for an empty box."""
    return " and ".join(f"the {name}" for name in sorted(objects)) or "nothing"


WORDINGS = {
    "base": Wording(),
    "altforms": Wording(
        box="Container {letter}",
        empty="there is nothing in {box}",
        one="{objects} is in {box}",
        several="{objects} are in {box}",
        put="Place {objects} inside {target}.",
        move="Pick up {objects} in {source} and place {them} into {target}.",
        remove="Take {objects} out of {source}.",
    ),
    "disjoint": Wording(),
    "movecontents": Wording(move_all="Move the contents of {source} to {target}."),
    "adjectives": Wording(name="[a-z]+( [a-z]+)?", drops_adjectives=True),
    "moreops": Wording(),
    "moreboxes": Wording(),
    "noop-remove": Wording(),
    "reintroduced": Wording(),
    "shared-label": Wording(name="[a-z]+( [a-z]+)?"),
}


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
    for pattern in patterns("stated" if stated else "clause", version):
        if match := pattern.fullmatch(clause):
            groups = match.groupdict()
            return number_of(groups["box"]), parse_objects(groups.get("objects") or "nothing")
    raise ValueError(f"{clause!r} is not a clause about a box in version {version}")


def parse_operation(sentence: str, state: State, version: str) -> Operation:
    """One operation. state: the state before it, which identifies ambiguous objects."""
    wording = WORDINGS[version]
    for pattern in patterns("operation", version):
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
def patterns(of: Literal["clause", "stated", "operation"], version: str) -> list[re.Pattern[str]]:
    """Regexes for the sentences of a version: a clause of a description or of an answer, or an operation.

    Some folders of the release write "is empty" for "nothing".
    """
    wording = WORDINGS[version]
    stated: list[str | None] = ["{box} is empty", wording.clause]
    templates: dict[str, list[str | None]] = {
        "clause": [wording.empty, wording.one, wording.several, *stated],
        "stated": stated,
        "operation": [wording.move_all, wording.put, wording.move, wording.remove],
    }
    name, _, symbol = wording.box.format(number=r"\d", letter="[A-Z]").rpartition(" ")
    groups = {role: f"{name} (?P<{role}>{symbol})" for role in ("box", *ROLES)}
    groups |= {"objects": "(?P<objects>.+)", "them": "(?:it|them)"}
    texts = [text.replace(".", r"\.") for text in dict.fromkeys(templates[of]) if text]
    return [re.compile(text.format(**groups)) for text in texts]
