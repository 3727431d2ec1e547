"""The effect of a sentence, on scores that can be counted by hand."""

from __future__ import annotations

import pytest

from bench.records import Score
from bench.scoring.scores import cost_of
from bench.task.probes import minimal_pairs

PAIRS = list(minimal_pairs("noop-remove", seed=0, num_pairs=40))


def scores(wrong_with: int) -> list[Score]:
    """All right, except the critical box of the first pairs with the critical sentence."""
    return [
        Score(
            example.id,
            example.scenario_id,
            query.box,
            query.num_ops,
            "missing" if example.arm == "with" and query.box == pair.box and number < wrong_with else None,
        )
        for number, pair in enumerate(PAIRS)
        for example in (pair.critical, pair.control)
        for query in example.queries
    ]


def test_the_critical_box_bears_the_cost_and_the_others_none() -> None:
    found = cost_of(scores(wrong_with=10), PAIRS)
    critical, others = found["critical box"], found["other boxes"]
    assert critical.difference.value == pytest.approx(-10 / 40)
    assert critical.difference.high < 0 and critical.difference.p < 0.01
    assert (critical.without.n, found["named box"].without.n, others.without.n) == (40, 40, 200)
    assert others.difference.value == 0 and others.difference.low < 0 < others.difference.high
