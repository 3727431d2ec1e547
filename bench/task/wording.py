"""State and operations -> sentences, in each version of the task.

Source of the templates: Kim & Schuster (2023), aclanthology.org/2023.acl-long.213, section 4 and appendix.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from bench.records import Contents, Operation, State

MASK = "<extra_id_0>"  # placeholder for a box's contents in the rows of the released data


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
