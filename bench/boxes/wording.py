"""State and operations -> sentences, in each version of the task."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bench.records import Operation, State


@dataclass(frozen=True, slots=True)
class Wording:
    """The sentence templates of one version of the task."""

    box: str = "Box {}"
    clause: str = "{box} contains {objects}"
    put: str = "Put {objects} into {target}."
    move: str = "Move {objects} from {source} to {target}."
    remove: str = "Remove {objects} from {source}."

    def name_box(self, box: int) -> str:
        return self.box.format(box)

    def describe_box(self, box: int, contents: Iterable[str]) -> str:
        """A clause without its full stop: "Box 0 contains the car"."""
        return self.clause.format(box=self.name_box(box), objects=name_objects(contents))

    def describe(self, state: State) -> str:
        """All boxes in one sentence."""
        return ", ".join(self.describe_box(box, contents) for box, contents in enumerate(state)) + "."

    def narrate(self, operation: Operation) -> str:
        """One operation as a sentence."""
        return getattr(self, operation.kind).format(
            objects=name_objects(operation.objects),
            source=None if operation.source is None else self.name_box(operation.source),
            target=None if operation.target is None else self.name_box(operation.target),
        )


def name_objects(objects: Iterable[str]) -> str:
    """"the apple and the key", sorted; "nothing" for no object."""
    return " and ".join(f"the {name}" for name in sorted(objects)) or "nothing"


WORDINGS = {"base": Wording()}
