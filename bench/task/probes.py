"""Seed, version of the task -> minimal pairs: the same world with and without one critical sentence.

Each version tests whether a model reads a removal as "this object is gone", whatever box is named.
Source of the predictions: Tang et al. (2026), arXiv:2605.30233.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from random import Random

from bench.inputs import InputError
from bench.records import Arm, Contents, Example, Operation, Scenario, State
from bench.task.examples import examples
from bench.task.world import (
    ADJECTIVES,
    MAX_OBJECTS,
    SIZES,
    apply,
    draw_operation,
    draw_operations,
    draw_state,
    replay,
)

NUM_PAIRS = {"evaluation": 358, "full": 990}
MAX_OPERATIONS = 6  # besides the critical operation; the minimum is 1
Names = Sequence[str]
Story = tuple[Operation, ...]
Drawn = tuple[State, Story, Story, int] | None  # initial state, operations with and without, critical box


@dataclass(frozen=True, slots=True)
class MinimalPair:
    """Two examples of one scenario that differ in one sentence. box: the box that the sentence may hide.

    named: the box in the sentence. For a put it is the same box.
    """

    critical: Example
    control: Example
    box: int
    named: int


def noop_remove(rng: Random, names: Names, num_operations: int) -> Drawn:
    """An object is removed from a box that does not hold it, while another box does. Nothing changes."""
    initial = draw_state(rng, names, SIZES["base"].num_boxes)
    story = draw_operations(rng, names, initial, num_operations)
    states = list(replay(initial, story))
    at = rng.randint(0, num_operations)
    held = sorted(everything(states[at]) & everything(states[-1]))
    if not held:
        return None
    name = rng.choice(held)
    last = holder(states[-1], name)
    elsewhere = [box for box, contents in enumerate(states[at]) if name not in contents and box != last]
    critical = Operation(frozenset({name}), source=rng.choice(elsewhere))
    return initial, (*story[:at], critical, *story[at:]), story, last


def reintroduced(rng: Random, names: Names, num_operations: int) -> Drawn:
    """A removed object is put into a box. The control puts a new object there instead."""
    initial = draw_state(rng, names, SIZES["base"].num_boxes)
    early = rng.randint(0, num_operations)
    before = draw_operations(rng, names, initial, early)
    *_, state = replay(initial, before)
    if not everything(state):
        return None
    name = rng.choice(sorted(everything(state)))
    heard = everything(initial).union(*(operation.objects for operation in before))
    unheard = rng.choice(sorted(set(names) - heard))
    removal = Operation(frozenset({name}), source=holder(state, name))
    others = [other for other in names if other not in (name, unheard)]
    state = apply(state, removal)
    after = draw_operations(rng, others, state, num_operations - early)
    *_, state = replay(state, after)
    rooms = [box for box, contents in enumerate(state) if len(contents) < MAX_OBJECTS]
    if not rooms:
        return None
    box = rng.choice(rooms)
    story = (*before, removal, *after)
    put, other_put = (Operation(frozenset({one}), target=box) for one in (name, unheard))
    return initial, (*story, put), (*story, other_put), box


def shared_label(rng: Random, names: Names, num_operations: int) -> Drawn:
    """Two objects in two boxes share a noun. One is removed, and the other stays."""
    initial, removed, kept = with_shared_noun(rng, draw_state(rng, names, SIZES["base"].num_boxes))
    if not removed:
        return None
    others = [name for name in names if name != removed.rpartition(" ")[2]]
    early = rng.randint(0, num_operations)
    before = draw_operations(rng, others, initial, early)
    *_, state = replay(initial, before)
    if not {removed, kept} <= everything(state):
        return None
    box = holder(state, removed)
    after: Story = ()
    while len(after) < num_operations - early:
        operation = draw_operation(rng, others, state)
        if removed not in operation.objects:  # so that it is possible with and without the removal
            state = apply(state, operation)
            after = (*after, operation)
    if kept not in everything(state) or holder(state, kept) == box:
        return None
    critical = Operation(frozenset({removed}), source=box)
    return initial, (*before, critical, *after), (*before, *after), holder(state, kept)


PROBES: dict[str, Callable[[Random, Names, int], Drawn]] = {
    "noop-remove": noop_remove,
    "reintroduced": reintroduced,
    "shared-label": shared_label,
}


def with_shared_noun(rng: Random, state: State) -> tuple[State, str, str]:
    """The state with one object renamed in each of two boxes: "red cup", "big cup". "" if impossible."""
    filled = [box for box, contents in enumerate(state) if contents]
    if len(filled) < 2:
        return state, "", ""
    boxes = list(state)
    first, second = rng.sample(filled, 2)
    noun = rng.choice(sorted(state[first]))
    renamed = [f"{adjective} {noun}" for adjective in rng.sample(ADJECTIVES, 2)]
    boxes[first] = state[first] - {noun} | {renamed[0]}
    boxes[second] = state[second] - {rng.choice(sorted(state[second]))} | {renamed[1]}
    return tuple(boxes), renamed[0], renamed[1]


def everything(state: State) -> Contents:
    return frozenset().union(*state)


def holder(state: State, name: str) -> int:
    """The box that holds an object."""
    return next(box for box, contents in enumerate(state) if name in contents)


def minimal_pairs(
    version: str, seed: int, num_pairs: int, max_operations: int = MAX_OPERATIONS
) -> Iterator[MinimalPair]:
    """Pairs after 1 to max_operations operations and the critical one.

    A pair depends only on seed and number. Raises ValueError for max_operations below 1.
    """
    if max_operations < 1:
        raise InputError(f"minimal pairs need 1 operation or more, not {max_operations}.")
    for number in range(num_pairs):
        rng = Random(f"{seed}/{version}/{number}")
        drawn = None
        while drawn is None:
            drawn = PROBES[version](rng, SIZES["base"].nouns, rng.randint(1, max_operations))
        initial, critical, control, box = drawn
        name = f"{version}{seed}-{number:04d}"
        yield MinimalPair(
            after_all(Scenario(name, initial, critical, version), "with"),
            after_all(Scenario(name, initial, control, version), "without"),
            box,
            next(one for one, other in zip_longest(critical, control) if one != other).boxes[0],
        )


def after_all(scenario: Scenario, arm: Arm) -> Example:
    """The scenario after its last operation."""
    (example,) = examples(scenario, [len(scenario.operations)], arm)
    return example


def examples_of(pairs: Iterable[MinimalPair]) -> list[Example]:
    """Both examples of each pair, one after the other."""
    return [example for pair in pairs for example in (pair.critical, pair.control)]
