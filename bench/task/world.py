"""State, Operation -> State: the ground truth of the boxes task. Pure.

Source: Kim & Schuster (2023), aclanthology.org/2023.acl-long.213.
"""

from collections.abc import Iterable, Iterator

from bench.records import Operation, State

MAX_OBJECTS = 3  # in one box, at any time


def apply(state: State, operation: Operation, lenient: bool = False) -> State:
    """The state after one operation.

    lenient: a remove that names an absent object changes nothing, where it is otherwise impossible.
    Raises ValueError if the operation is impossible: it takes what is not there, puts what is
    somewhere already, moves within one box, changes nothing, or overfills a box.
    """
    objects, source, target = operation.objects, operation.source, operation.target
    if not objects or source == target:
        raise ValueError(f"impossible operation {operation}: it changes nothing")
    boxes = list(state)
    if source is not None:
        if not objects <= boxes[source]:
            if lenient and target is None:
                return state
            raise ValueError(f"impossible operation {operation}: box {source} holds {sorted(boxes[source])}")
        boxes[source] -= objects
    elif any(objects & box for box in boxes):
        raise ValueError(f"impossible operation {operation}: an object is in a box already")
    if target is not None:
        boxes[target] |= objects
        if len(boxes[target]) > MAX_OBJECTS:
            raise ValueError(
                f"impossible operation {operation}: box {target} would hold more than {MAX_OBJECTS}"
            )
    return tuple(boxes)


def replay(initial: State, operations: Iterable[Operation], lenient: bool = False) -> Iterator[State]:
    """The state before the first operation and after each one."""
    state = initial
    yield state
    for operation in operations:
        state = apply(state, operation, lenient)
        yield state
