"""Query -> exact expected accuracy of random guessing, without sampling.

The paper guesses 0 to 3 of the objects mentioned with the box so far (Kim, Schuster & Toshniwal 2024,
section 3). It released no code for this, so there are several readings of that sentence.
"""

from __future__ import annotations

import csv
import json
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Mapping
from math import comb
from statistics import mean

from bench import DATA
from bench.inputs import SEED
from bench.records import BUCKETS, Example, Query, by_bucket
from bench.task.examples import DEFAULT_SEED, PASSWORD_VARIABLE, PUBLISHED_COUNTS, load_examples
from bench.task.prompts import choices
from bench.task.world import MAX_OBJECTS

SIZES = range(MAX_OBJECTS + 1)


def with_replacement(pool: int, target: int) -> float:
    """0 to 3 draws from the pool, each number equally likely. An object drawn twice counts once."""
    if pool == 0:
        return 1.0
    return sum(surjections(draws, target) / pool**draws for draws in SIZES) / len(SIZES)


def surjections(draws: int, target: int) -> int:
    """Number of ways in which the draws hit every object of the target and no other object."""
    return sum(
        (-1) ** missed * comb(target, missed) * (target - missed) ** draws for missed in range(target + 1)
    )


def cut_at_pool(pool: int, target: int) -> float:
    """0 to 3 different objects, each size equally likely. A size above the pool takes the whole pool."""
    sizes = sum(min(size, pool) == target for size in SIZES)
    return sizes / len(SIZES) / comb(pool, target)


def size_within_pool(pool: int, target: int) -> float:
    """0 to min(3, pool) different objects, each size equally likely."""
    return 1 / (min(MAX_OBJECTS, pool) + 1) / comb(pool, target)


def wrong_above_pool(pool: int, target: int) -> float:
    """0 to 3 different objects. A size above the pool is wrong. An empty pool gives the empty answer."""
    return 1.0 if pool == 0 else 1 / len(SIZES) / comb(pool, target)


READINGS = {
    "with-replacement": with_replacement,
    "cut-at-pool": cut_at_pool,
    "size-within-pool": size_within_pool,
    "wrong-above-pool": wrong_above_pool,
}
DEFAULT_READING = "with-replacement"


def expected_accuracy(query: Query, reading: str = DEFAULT_READING) -> float:
    """The probability that a random guess is right."""
    return READINGS[reading](len(query.mentioned), len(query.target))


def baseline(evaluated: Iterable[Example], reading: str = DEFAULT_READING) -> dict[str, float]:
    """Expected accuracy of random guessing in each bucket that has queries."""
    queries = [query for example in evaluated for query in example.queries]
    expected = by_bucket((query.num_ops, expected_accuracy(query, reading)) for query in queries)
    return {bucket: sum(values) / len(values) for bucket, values in expected.items()}


def chance(evaluated: Iterable[Example]) -> dict[str, float]:
    """For the metric logprob: the expected accuracy of a random choice in each bucket that has queries."""
    expected = by_bucket(
        (query.num_ops, 1 / len(clauses))
        for example in evaluated
        for query, clauses in zip(example.queries, choices(example), strict=True)
    )
    return {bucket: mean(values) for bucket, values in expected.items()}


def published_baseline() -> dict[str, float]:
    """The paper's random baseline: Kim, Schuster & Toshniwal (2024), analysis/model_results.csv.

    ops1plus is the mean of the other buckets, weighted by the queries that each bucket drew for.
    """
    with (DATA / "published_random_baseline.csv").open(encoding="utf-8") as file:
        rows = [
            (f"ops{row['num_ops']}", float(row["accuracy_percent"]) / 100) for row in csv.DictReader(file)
        ]
    counts = dict(zip((bucket for bucket, _ in rows), PUBLISHED_COUNTS, strict=True))
    above = [(accuracy, counts[bucket]) for bucket, accuracy in rows if bucket != "ops0"]
    one_plus = sum(accuracy * n for accuracy, n in above) / sum(n for _, n in above)
    return dict(rows) | {"ops1plus": one_plus}


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--reading", choices=READINGS, help="only this reading (default: all)")
    parser.add_argument("--dataset", default="evaluation", metavar="SET", help="as in --boxes-dataset")
    parser.add_argument("--dataset-password", metavar="WORD", help=f"safer in ${PASSWORD_VARIABLE}")
    parser.add_argument("--seed", type=SEED, default=DEFAULT_SEED, help="(default: %(default)s)")
    parser.add_argument("--version", default="base", help="version of the task (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON, accuracies in [0, 1]")


def run(args: Namespace) -> int:
    """Print the expected accuracy of each reading, and the published row."""
    evaluated = load_examples(args.dataset, args.seed, args.version, args.dataset_password)
    readings = [args.reading] if args.reading else list(READINGS)
    rows = {reading: baseline(evaluated, reading) for reading in readings} | {
        "published": published_baseline()
    }
    print(json.dumps(rows) if args.json else as_table(rows))
    return 0


def as_table(rows: Mapping[str, Mapping[str, float]]) -> str:
    """One row per reading, one column per bucket, in percent."""
    cells = [
        [name, *(f"{100 * row[bucket]:.1f}" if bucket in row else "" for bucket in BUCKETS)]
        for name, row in rows.items()
    ]
    from tabulate import tabulate

    return tabulate(cells, headers=["reading", *BUCKETS], tablefmt="github", disable_numparse=True)
