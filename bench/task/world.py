"""State, Operation -> State: the ground truth of the boxes task. Seed, version of the task -> scenarios.

Source: Kim & Schuster (2023), aclanthology.org/2023.acl-long.213, section 4, and the description of their
released generator.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from random import Random

from bench import DATA
from bench.records import Operation, Scenario, State

MAX_OBJECTS = 3  # in one box, at any time
ADJECTIVES = ("big", "small", "blue", "green", "red", "yellow")


def apply(state: State, operation: Operation, lenient: bool = False) -> State:
    """The state after one operation.

    lenient: removing an absent object changes nothing. Otherwise it is impossible.
    Raises ValueError if the operation is impossible: it takes an absent object, puts an object that is
    already in a box, moves within one box, changes nothing, or puts too many objects into a box.
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
        raise ValueError(f"impossible operation {operation}: an object is already in a box")
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


def object_names(file: str = "object_names.txt") -> tuple[str, ...]:
    """The nouns of a version, in alphabetical order."""
    return tuple((DATA / file).read_text(encoding="utf-8").split())


@dataclass(frozen=True, slots=True)
class Size:
    """The size of a version's worlds, and their object names.

    with_adjectives: use few nouns, each with every adjective, drawn again for each scenario.
    """

    num_boxes: int = 7
    num_operations: int = 12
    nouns: tuple[str, ...] = object_names()
    with_adjectives: bool = False


SIZES = {
    "base": Size(),
    "altforms": Size(),
    "disjoint": Size(nouns=object_names("disjoint_object_names.txt")),
    "movecontents": Size(),
    "adjectives": Size(with_adjectives=True),
    "moreops": Size(num_operations=24),
    "moreboxes": Size(num_boxes=10),
}


def generate(
    num_scenarios: int | None,
    *,
    seed: int,
    version: str = "base",
    size: Size | None = None,
    where: Callable[[State], bool] = lambda initial: True,
) -> Iterator[Scenario]:
    """Scenarios drawn as in the released data set, without end if num_scenarios is None.

    A scenario depends only on the seed and its number. So versions of one size have the same worlds with
    other object names. where: a filter on initial states.
    """
    size = size or SIZES[version]
    for number in itertools.count() if num_scenarios is None else range(num_scenarios):
        rng = Random(f"{seed}/{number}")
        names = with_adjectives(f"{seed}/{number}", size.nouns) if size.with_adjectives else size.nouns
        initial = draw_state(rng, names, size.num_boxes)
        if where(initial):
            operations = draw_operations(rng, names, initial, size.num_operations)
            yield Scenario(f"s{seed}-{number:04d}", initial, operations, version)


def with_adjectives(seed: str, nouns: Sequence[str]) -> list[str]:
    """The same number of names, from few nouns, each with every adjective. Most need it to be unambiguous."""
    rng = Random(f"{seed}/adjectives")
    few = rng.sample(list(nouns), math.ceil(len(nouns) / len(ADJECTIVES)))
    names = [f"{adjective} {noun}" for adjective, noun in itertools.product(ADJECTIVES, few)]
    return rng.sample(names, len(nouns))


def draw_state(rng: Random, names: Sequence[str], num_boxes: int) -> State:
    """Boxes with min(Poisson(2), 3) objects each."""
    sizes = [min(poisson(rng, 2), MAX_OBJECTS) for _ in range(num_boxes)]
    objects = iter(rng.sample(names, sum(sizes)))
    return tuple(frozenset(next(objects) for _ in range(size)) for size in sizes)


def draw_operations(
    rng: Random, names: Sequence[str], state: State, num_operations: int
) -> tuple[Operation, ...]:
    """Successive operations from a state on."""
    operations = []
    for _ in range(num_operations):
        operation = draw_operation(rng, names, state)
        state = apply(state, operation)
        operations.append(operation)
    return tuple(operations)


def draw_operation(rng: Random, names: Sequence[str], state: State) -> Operation:
    """A put, move or remove with uniformly drawn boxes, drawn again until it is possible."""
    while True:
        kind, box = rng.choice(("put", "move", "remove")), rng.randrange(len(state))
        if kind == "put":
            size = poisson(rng, 1)
            if 1 <= size <= min(MAX_OBJECTS - len(state[box]), len(names) - sum(map(len, state))):
                placed = frozenset().union(*state)
                free = [name for name in names if name not in placed]
                return Operation(frozenset(rng.sample(free, size)), target=box)
        elif state[box]:
            objects = draw_subset(rng, sorted(state[box]))
            if kind == "remove":
                return Operation(objects, source=box)
            target = rng.choice([other for other in range(len(state)) if other != box])
            if len(state[target]) + len(objects) <= MAX_OBJECTS:
                return Operation(objects, source=box, target=target)


def draw_subset(rng: Random, objects: Sequence[str]) -> frozenset[str]:
    """Each object with probability 1/2, drawn again if none is chosen."""
    while not (taken := frozenset(name for name in objects if rng.random() < 0.5)):
        pass
    return taken


def poisson(rng: Random, mean: float) -> int:
    """Knuth's product method, which is fast for small means."""
    count, product, limit = 0, rng.random(), math.exp(-mean)
    while product > limit:
        count, product = count + 1, product * rng.random()
    return count
