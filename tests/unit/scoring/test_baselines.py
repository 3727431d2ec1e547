import csv
import json

import numpy as np
import pytest

from bench import DATA
from bench.__main__ import main
from bench.records import BUCKETS, Query, in_bucket
from bench.scoring.baselines import READINGS, baseline, expected_accuracy
from bench.task.examples import evaluation_set, examples
from bench.task.world import generate

REPETITIONS = 200

# Percent on 990 scenarios for 0..7 operations, measured with a separate program.
MEASURED = {
    "with-replacement": (41.7, 21.7, 16.2, 13.8, 12.2, 11.4, 8.9, 13.2),
    "cut-at-pool": (53.7, 25.6, 16.1, 13.1, 11.6, 11.0, 8.3, 12.9),
    "size-within-pool": (44.7, 28.1, 18.5, 14.4, 11.8, 11.1, 8.3, 12.9),
    "wrong-above-pool": (37.6, 19.7, 15.2, 13.1, 11.6, 11.0, 8.3, 12.9),
}


@pytest.fixture(scope="module")
def evaluated():
    return evaluation_set()


@pytest.fixture(scope="module")
def all_states():
    return [example for scenario in generate(500, seed=1) for example in examples(scenario)]


def published() -> dict[str, float]:
    with (DATA / "published_random_baseline.csv").open(encoding="utf-8") as file:
        return {f"ops{row['num_ops']}": float(row["accuracy_percent"]) / 100 for row in csv.DictReader(file)}


def guess(rng: np.random.Generator, pool: int, reading: str, size: int) -> np.ndarray:
    """Random guesses as bit masks over the pool. -1 is always wrong."""
    if pool == 0:
        return np.zeros(size, dtype=int)
    numbers = rng.integers(0, 4, size)
    if reading == "with-replacement":
        drawn = rng.integers(0, pool, (size, 3))
    else:
        drawn = np.argsort(rng.random((size, pool)), axis=1)[:, :3]
    if reading == "size-within-pool":
        numbers = rng.integers(0, min(3, pool) + 1, size)
    taken = np.arange(drawn.shape[1]) < numbers[:, None]
    masks = np.bitwise_or.reduce(np.where(taken, 1 << drawn, 0), axis=1)
    return np.where(numbers > pool, -1, masks) if reading == "wrong-above-pool" else masks


@pytest.mark.parametrize("bucket", BUCKETS)
@pytest.mark.parametrize("reading", READINGS)
def test_the_closed_form_agrees_with_guessing_200_times(reading, bucket, evaluated):
    rng = np.random.default_rng(BUCKETS.index(bucket))
    queries = [
        query for example in evaluated for query in example.queries if in_bucket(query.num_ops, bucket)
    ]
    sizes = [(len(query.mentioned), len(query.target)) for query in queries]
    right = sum(
        (guess(rng, pool, reading, REPETITIONS * sizes.count((pool, target))) == (1 << target) - 1).sum()
        for pool, target in set(sizes)
    )
    n = REPETITIONS * len(sizes)
    expected = baseline(evaluated, reading)[bucket]
    assert abs(right / n - expected) < 4 * np.sqrt(expected * (1 - expected) / n)


@pytest.mark.parametrize("reading", READINGS)
def test_each_reading_is_near_what_was_measured_on_990_scenarios(reading, all_states):
    found = baseline(all_states, reading)
    for num_ops, percent in enumerate(MEASURED[reading]):
        assert found[f"ops{num_ops}"] == pytest.approx(percent / 100, abs=0.01 if num_ops < 5 else 0.04)


def test_the_default_reading_is_within_five_points_of_the_published_row(evaluated):
    found = baseline(evaluated)
    for bucket, accuracy in published().items():
        assert found[bucket] == pytest.approx(accuracy, abs=0.05)


@pytest.mark.parametrize(
    ("pool", "target", "probability"),
    [
        pytest.param(0, 0, 1, id="nothing was ever mentioned"),
        pytest.param(1, 1, 3 / 4, id="one object: any of 1, 2, 3 draws"),
        pytest.param(1, 0, 1 / 4, id="no draw"),
        pytest.param(2, 2, (1 / 2 + 3 / 4) / 4, id="both of two, in 2 or 3 draws"),
        pytest.param(5, 3, 6 / 125 / 4, id="three of five, in 3 draws"),
    ],
)
def test_drawing_with_replacement_by_hand(pool, target, probability):
    names = [f"object{number}" for number in range(pool)]
    query = Query(0, frozenset(names[:target]), 1, (), frozenset(names))
    assert expected_accuracy(query) == pytest.approx(probability)


def test_the_command_shows_all_readings_beside_the_published_row(capsys):
    assert main(["baseline"]) == 0
    table = capsys.readouterr().out
    assert all(name in table for name in (*READINGS, "published", "ops7", "ops1plus"))


def test_the_command_prints_one_reading_as_json(capsys, evaluated):
    assert main(["baseline", "--reading", "cut-at-pool", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["cut-at-pool"] == pytest.approx(baseline(evaluated, "cut-at-pool"))
    assert printed["published"] == pytest.approx(published() | {"ops1plus": 0.1406}, abs=1e-4)
    assert printed.keys() == {"cut-at-pool", "published"}
