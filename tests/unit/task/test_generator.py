from collections import Counter
from math import sqrt

import pytest

from bench.task.world import SIZES, Size, generate
from bench.task.write import check_size

# Percent of queries with 0..7 operations among the published 90,090: Kim & Schuster (2023).
PUBLISHED_SHARES = (39.4, 29.2, 18.1, 9.0, 3.2, 0.87, 0.22, 0.03)


def shares(seed: int) -> list[float]:
    """Percent of boxes with 0..7 operations, over all states of 990 scenarios."""
    counted: Counter[int] = Counter()
    for scenario in generate(990, seed=seed):
        num_ops = [0] * len(scenario.initial)
        counted.update(num_ops)
        for operation in scenario.operations:
            for box in operation.boxes:
                num_ops[box] += 1
            counted.update(num_ops)
    return [100 * counted[num_ops] / counted.total() for num_ops in range(8)]


def test_shares_by_number_of_operations_over_20_seeds_are_the_published_ones():
    drawn = list(zip(*map(shares, range(20)), strict=True))
    for published, found in zip(PUBLISHED_SHARES, drawn, strict=True):
        mean = sum(found) / len(found)
        deviation = sqrt(sum((share - mean) ** 2 for share in found) / (len(found) - 1))
        # The published share is one draw of 990 scenarios, printed with one or two decimals.
        assert abs(mean - published) < 3 * deviation * sqrt(1 + 1 / len(found)) + 0.05


def test_a_scenario_depends_on_its_seed_and_number_only():
    assert list(generate(3, seed=5)) == list(generate(9, seed=5))[:3]
    assert next(generate(1, seed=5)) != next(generate(1, seed=6))


@pytest.mark.parametrize("version", SIZES)
def test_versions_of_one_size_tell_of_the_same_operations(version):
    def shape(scenario):
        return [
            (operation.kind, operation.boxes, len(operation.objects)) for operation in scenario.operations
        ]

    if SIZES[version].num_boxes == SIZES["base"].num_boxes:
        for ours, base in zip(generate(20, seed=1, version=version), generate(20, seed=1), strict=True):
            assert shape(ours)[:12] == shape(base)


def test_disjoint_names_are_none_of_the_base_version():
    disjoint, base = set(SIZES["disjoint"].nouns), set(SIZES["base"].nouns)
    assert len(disjoint) == len(base) == 100
    assert not disjoint & base


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        pytest.param({"nouns": ("car", "key")}, "21 objects, but there are only 2 names", id="too few names"),
        pytest.param({"num_boxes": 11}, "2 to 10 boxes", id="boxes that cannot be named"),
        pytest.param({"num_boxes": 1}, "2 to 10 boxes", id="nowhere to move to"),
        pytest.param({"num_operations": -1}, "at least 0", id="negative operations"),
    ],
)
def test_options_that_cannot_be_met_are_refused_at_once(options, reason):
    with pytest.raises(ValueError, match=reason):
        check_size(Size(**options))
