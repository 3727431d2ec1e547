"""Seed, sizes, object names -> scenarios.

Source: Kim & Schuster (2023), section 4; details in their released generator's description.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from random import Random

from bench import DATA
from bench.boxes.world import MAX_OBJECTS, apply
from bench.records import Operation, Scenario, State


def object_names() -> tuple[str, ...]:
    """The nouns of the base version, in alphabetical order."""
    return tuple((DATA / "object_names.txt").read_text(encoding="utf-8").split())


def generate(
    num_scenarios: int,
    *,
    seed: int,
    names: Sequence[str] | None = None,
    num_boxes: int = 7,
    num_operations: int = 12,
) -> Iterator[Scenario]:
    """Scenarios as the released data set draws them; a scenario depends on seed and its number only."""
    names = object_names() if names is None else tuple(names)
    if num_boxes * MAX_OBJECTS > len(names):
        raise ValueError(
            f"{num_boxes} boxes may hold {num_boxes * MAX_OBJECTS} objects, but there are {len(names)} names. "
            "Ask for fewer boxes or give more names."
        )
    for number in range(num_scenarios):
        rng = Random(f"{seed}/{number}")
        state = initial = draw_state(rng, names, num_boxes)
        operations = []
        for _ in range(num_operations):
            operation = draw_operation(rng, names, state)
            state = apply(state, operation)
            operations.append(operation)
        yield Scenario(f"s{seed}-{number:04d}", initial, tuple(operations))


def draw_state(rng: Random, names: Sequence[str], num_boxes: int) -> State:
    """Boxes of min(Poisson(2), 3) objects each."""
    sizes = [min(poisson(rng, 2), MAX_OBJECTS) for _ in range(num_boxes)]
    objects = iter(rng.sample(names, sum(sizes)))
    return tuple(frozenset(next(objects) for _ in range(size)) for size in sizes)


def draw_operation(rng: Random, names: Sequence[str], state: State) -> Operation:
    """A put, move or remove with a uniform box, redrawn until it is possible."""
    while True:
        kind, box = rng.choice(("put", "move", "remove")), rng.randrange(len(state))
        if kind == "put":
            free = [name for name in names if not any(name in contents for contents in state)]
            size = poisson(rng, 1)
            if 1 <= size <= min(len(free), MAX_OBJECTS - len(state[box])):
                return Operation(frozenset(rng.sample(free, size)), target=box)
        elif state[box]:
            objects = draw_subset(rng, sorted(state[box]))
            if kind == "remove":
                return Operation(objects, source=box)
            target = rng.choice([other for other in range(len(state)) if other != box])
            if len(state[target]) + len(objects) <= MAX_OBJECTS:
                return Operation(objects, source=box, target=target)


def draw_subset(rng: Random, objects: Sequence[str]) -> frozenset[str]:
    """A fair coin an object, redrawn if none is taken."""
    while not (taken := frozenset(name for name in objects if rng.random() < 0.5)):
        pass
    return taken


def poisson(rng: Random, mean: float) -> int:
    """Knuth's product method: short for the small means used here."""
    count, product, limit = 0, rng.random(), math.exp(-mean)
    while product > limit:
        count, product = count + 1, product * rng.random()
    return count
