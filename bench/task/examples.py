"""The name of a data set -> its examples. Scenarios -> examples.

The evaluation set has the published number of queries in each bucket.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from random import Random

from bench import DATA
from bench.inputs import InputError
from bench.records import Arm, Example, LastChange, Operation, Query, Scenario, State
from bench.task.wording import WORDINGS
from bench.task.world import SIZES, generate, replay

# Queries with 0..7 operations: Kim, Schuster & Toshniwal (2024).
PUBLISHED_COUNTS = (1303, 1410, 1083, 651, 288, 142, 106, 29)
NUM_EXAMPLES = 716
NUM_SCENARIOS = 990
DEFAULT_SEED = 0
PASSWORD_VARIABLE = "BOXES_DATASET_PASSWORD"
LENIENT = ("noop-remove",)  # versions in which removing an absent object changes nothing


def load_examples(
    name: str, seed: int = DEFAULT_SEED, version: str = "base", password: str | None = None
) -> list[Example]:
    """Load evaluation, full, release:PATH.zip or release:PATH.zip/MEMBER, as in --boxes-dataset.

    Raises ValueError for an unknown name or version, and for a ZIP that differs from the release.
    """
    if version not in WORDINGS:
        raise InputError(f"unknown version of the task {version!r}. Choose from {', '.join(WORDINGS)}.")
    if name in ("evaluation", "full") and version not in SIZES:
        from bench.task.probes import NUM_PAIRS, examples_of, minimal_pairs

        return examples_of(minimal_pairs(version, seed, NUM_PAIRS[name]))
    if name == "evaluation":
        return evaluation_set(seed, version=version)
    if name == "full":
        return full_split(seed, version=version)
    if name.startswith("release:"):
        from bench.task.release import read_release

        password = password or os.environ.get(PASSWORD_VARIABLE)
        return read_release(name.removeprefix("release:"), password, version=version)
    raise InputError(f"unknown data set {name!r}. Choose from evaluation, full, release:PATH.zip.")


def examples(scenario: Scenario, after: Iterable[int] | None = None, arm: Arm = "") -> list[Example]:
    """The scenario after 0, 1, ..., len(operations) operations, or after the given numbers of operations."""
    wording = WORDINGS[scenario.version]
    states = tuple(replay(scenario.initial, scenario.operations, lenient=scenario.version in LENIENT))
    sentences = [wording.describe(scenario.initial), *map(wording.narrate, scenario.operations, states)]
    return [
        Example(
            scenario.id,
            done,
            " ".join(sentences[: done + 1]),
            tuple(query(scenario, states[: done + 1], box) for box in range(len(scenario.initial))),
            scenario.version,
            arm,
        )
        for done in (range(len(states)) if after is None else after)
    ]


def query(scenario: Scenario, states: Sequence[State], box: int) -> Query:
    """One box of the scenario after len(states) - 1 operations."""
    contents = [state[box] for state in states]
    done = scenario.operations[: len(states) - 1]
    named = [operation for operation in done if box in operation.boxes]
    mentioned = scenario.initial[box].union(*(operation.objects for operation in named))
    steps = enumerate(zip(done, pairwise(contents), strict=True), start=1)
    changes = {number: operation for number, (operation, (before, after)) in steps if before != after}
    kinds = [operation.kind for operation in changes.values()]
    return Query(
        box,
        target=contents[-1],
        num_ops=len(kinds),
        earlier=tuple(dict.fromkeys(reversed(contents)))[1:],  # without the present contents
        mentioned=mentioned,
        by_kind=(kinds.count("put"), kinds.count("move"), kinds.count("remove")),
        changed_by=tuple(changes),
        last=last_change(changes[max(changes)], box) if changes else None,
    )


def last_change(operation: Operation, box: int) -> LastChange:
    """The effect of an operation on one of its boxes."""
    if operation.kind != "move":
        return operation.kind
    return "move in" if operation.target == box else "move out"


def full_split(
    seed: int = DEFAULT_SEED, num_scenarios: int = NUM_SCENARIOS, version: str = "base"
) -> list[Example]:
    """Every scenario after each operation."""
    scenarios = generate(num_scenarios, seed=seed, version=version)
    return [example for scenario in scenarios for example in examples(scenario)[1:]]


def evaluation_set(seed: int = DEFAULT_SEED, version: str = "base") -> list[Example]:
    """716 examples after 1 to 12 operations. Their 5,012 queries have exactly PUBLISHED_COUNTS.

    For versions of another size, it is a random choice of the same number of examples.
    Raises ValueError if the scenarios of a seed cannot meet the counts.
    """
    size, published = SIZES[version], SIZES["base"]
    if (size.num_boxes, size.num_operations) != (published.num_boxes, published.num_operations):
        kept = random_states(seed, version)
    elif seed == DEFAULT_SEED:
        kept = committed_states()
    else:
        return choose(full_split(seed, version=version), PUBLISHED_COUNTS, seed)
    scenarios = generate(NUM_SCENARIOS, seed=seed, version=version)
    return [
        example for number, scenario in enumerate(scenarios) for example in examples(scenario, kept[number])
    ]


def random_states(seed: int, version: str) -> Mapping[int, list[int]]:
    """Number of a scenario -> the numbers of operations after which it is asked."""
    per_scenario = SIZES[version].num_operations
    total = NUM_SCENARIOS * per_scenario
    kept: dict[int, list[int]] = defaultdict(list)
    for index in sorted(Random(f"{seed}/examples").sample(range(total), NUM_EXAMPLES)):
        kept[index // per_scenario].append(index % per_scenario + 1)
    return kept


def committed_states() -> Mapping[int, list[int]]:
    """The choice for the default seed. A file keeps it, because other solver versions may choose differently.

    Versions of one size share it, because their scenarios have the same operations.
    """
    kept: dict[int, list[int]] = defaultdict(list)
    for example_id in (DATA / "evaluation_set.txt").read_text(encoding="utf-8").split():
        _, number, done = example_id.split("-")
        kept[int(number)].append(int(done))
    return kept


def choose(found: Iterable[Example], counts: Sequence[int], seed: int) -> list[Example]:
    """Choose examples so that counts[i] of their queries have num_ops i. The order stays.

    It solves an integer program with a random objective up to the first feasible point. Raises ValueError if
    there is none.
    """
    import numpy as np
    from scipy.optimize import Bounds, LinearConstraint, milp

    candidates = [
        example for example in found if max(query.num_ops for query in example.queries) < len(counts)
    ]
    per_example = np.zeros((len(counts), len(candidates)))
    for column, example in enumerate(candidates):
        for query in example.queries:
            per_example[query.num_ops, column] += 1
    solution = milp(
        np.random.default_rng(seed).random(len(candidates)),
        constraints=LinearConstraint(per_example, counts, counts),
        integrality=np.ones(len(candidates)),
        bounds=Bounds(0, 1),
        options={"mip_rel_gap": 0.05},
    )
    if solution.x is None:
        raise InputError(
            f"no choice of {len(candidates)} states has {list(counts)} queries with 0, 1, ... operations. "
            "Use another seed or more scenarios."
        )
    return [example for example, taken in zip(candidates, solution.x, strict=True) if taken > 0.5]


def digest_of_examples(evaluated: Iterable[Example]) -> str:
    """sha256 over descriptions and gold answers. It identifies an evaluation set, however it was made."""
    sha = hashlib.sha256()
    for example in evaluated:
        gold = [sorted(query.target) for query in example.queries]
        sha.update(json.dumps([example.id, example.version, example.description, gold]).encode())
    return sha.hexdigest()
