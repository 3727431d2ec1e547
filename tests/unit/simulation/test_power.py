"""The detectable gain: the formula by hand, on samples, from stored answers, and as a message."""

from __future__ import annotations

import json

import pytest

from bench.commands import main
from bench.records import Evaluation, ModelEntry, Pair, Scenario, Score, Suite
from bench.run.plans import Plan, limited
from bench.run.session import Session
from bench.simulation import power
from bench.store import Store
from bench.task.examples import evaluation_set, examples
from bench.task.prompts import SHOTS


@pytest.fixture(scope="module")
def rows() -> dict[str, power.Row]:
    return {row.bucket: row for row in power.smallest_gains(evaluation_set(), pairs=5)}


def test_the_smallest_gain_by_hand(rows: dict[str, power.Row]) -> None:
    """The z values of .5% and 20% are 2.576 and .842. With a gain of 3.7 points, 1.8% more queries differ."""
    main_row = rows["ops1plus"]
    variance = 1.4 * (0.3 + 0.037 / 2 - 0.037**2) / 3709
    assert main_row.gain == pytest.approx((2.576 + 0.842) * variance**0.5, rel=0.02)
    assert (main_row.n, main_row.scenarios, main_row.tests) == (3709, 496, 5)


def test_smaller_buckets_and_more_tests_show_less(rows: dict[str, power.Row]) -> None:
    gains = [rows[f"ops{number}"].gain for number in range(1, 8)]
    assert gains == sorted(gains) and rows["ops1"].tests == 7
    alone = {row.bucket: row for row in power.smallest_gains(evaluation_set(), pairs=1)}
    assert alone["ops1plus"].gain < rows["ops1plus"].gain


def test_few_examples_show_nothing() -> None:
    few = limited(evaluation_set(), 4)
    assert {row.gain for row in power.smallest_gains(few, pairs=1)} == {1.0}
    assert power.warning(few, 1).startswith("With 4 examples no gain can be shown")
    assert power.warning(few[:1], 1).startswith("With 1 example no gain can be shown")
    assert "points" in power.warning(limited(evaluation_set(), 100), 1)


def test_clustering_is_measured_on_evaluated_pairs() -> None:
    """Models on 40 scenarios that differ in all queries of a quarter of the scenarios."""
    asked = tuple(
        e for n in range(40) for e in examples(Scenario(f"s{n:02}", SHOTS.initial, SHOTS.operations))[3:6]
    )
    plan = Plan(asked)
    suite = Suite("s", {n: ModelEntry(n, f"/nowhere/{n}") for n in ("a", "b")}, (Pair("code", "a", "b"),))
    evaluations = {
        name: Evaluation(name, {}, tuple(
            Score(e.id, e.scenario_id, q.box, q.num_ops, None if int(e.scenario_id[1:]) in right else "other")
            for e in asked for q in e.queries), {}, "reference", {})
        for name, right in (("a", range(0, 5)), ("b", range(5, 10)))
    }  # fmt: skip
    n = sum(q.num_ops >= 1 for e in asked for q in e.queries)
    with Store(":memory:") as store:
        session = Session(suite, plan, store)
        assert power.measure(session) is None
        session.evaluations |= evaluations
        found = power.measure(session)
    assert found is not None and found.differing == pytest.approx(0.25, abs=0.04)
    assert found.design_effect == pytest.approx(n / 40, rel=0.1)  # a scenario counts as one query


@pytest.mark.parametrize(
    ("option", "said"),
    [("--differing=0", "is not a share"), ("--design-effect=0.5", "not a number of at least 1")],
)
def test_what_cannot_be_is_refused(option: str, said: str, capsys) -> None:
    assert main(["power", "--limit", "20", option]) != 0
    assert said in capsys.readouterr().err


def test_the_command_prints_a_table_and_json(capsys) -> None:
    assert main(["power", "--suite", "paper", "--limit", "100", "--design-effect", "2"]) == 0
    assert "design effect of 2.0 (given)" in capsys.readouterr().out
    assert main(["power", "--suite", "paper", "--limit", "100", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["source"] == "assumed" and found["rows"][-1]["tests"] == 10
