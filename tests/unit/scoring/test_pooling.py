"""The pooled gain of a hypothesis: by hand, and the effect of shared models."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench.models.suites import load_suite
from bench.proportions import accuracy
from bench.records import Comparison, Pair
from bench.scoring.pooling import groups, pool, pool_all, random_effects
from bench.scoring.stats import NORMAL
from bench.scoring.verdicts import compare_recorded, judge, judge_recorded


def compared(base: str, variant: str, gain: int, control: str | None = None) -> Comparison:
    counts = {"ops1plus": accuracy(300, 1000)}, {"ops1plus": accuracy(300 + gain, 1000)}
    pair = Pair("code", base, variant, control)  # type: ignore[arg-type]
    return compare_recorded(pair, *counts, baseline={"ops1plus": 0.2})[0]


def test_gains_of_equal_precision_by_hand():
    """Mean .2, standard deviation .1 between three gains of standard error .01: tau^2 = .01 - .0001."""
    value, tests, tau, i_squared = random_effects([(0.1, 0.01), (0.2, 0.01), (0.3, 0.01)])
    assert value == pytest.approx(0.2)
    assert tests == [pytest.approx((0.1 / np.sqrt(3), df), abs=1e-6) for df in (2, NORMAL)]
    assert tau == pytest.approx(np.sqrt(0.01 - 0.0001), abs=1e-5)
    assert i_squared == pytest.approx(1 - 2 / 200)  # Q is 200 on two degrees of freedom


def test_a_hypothesis_needs_its_pairs_to_agree():
    agreeing = pool("code", [compared(f"b{n}", f"v{n}", gain) for n, gain in enumerate((90, 100, 110))])
    opposed = pool("code", [compared(f"b{n}", f"v{n}", gain) for n, gain in enumerate((200, 100, -150))])
    falling = pool("code", [compared(f"b{n}", f"v{n}", gain) for n, gain in enumerate((-90, -100, -110))])
    assert [found.outcome for found in (agreeing, opposed, falling)] == ["supported", "open", "contradicted"]
    for found in (agreeing, opposed, falling):
        assert (found.p < 0.05) == (not found.low <= 0 <= found.high)
        assert found.sentence.startswith(found.outcome) and "from counts" in found.sentence


def test_pairs_that_share_a_model_are_one_group():
    """Two variants of one base, a chain of three steps, and an independent pair."""
    found = groups(
        [compared("a", "a1", 10), compared("b", "b1", 10), compared("a", "a2", 20),
         compared("b1", "b2", 5), compared("c", "c1", 9)]
    )  # fmt: skip
    assert sorted(sorted(entry.pair.variant for entry in group) for group in found) == [
        ["a1", "a2"], ["b1", "b2"], ["c1"],
    ]  # fmt: skip


def test_equal_gains_do_not_make_an_interval_narrower_than_their_own_errors_do():
    found = pool("code", [compared(f"b{n}", f"v{n}", 100) for n in range(3)])
    se = compared("b", "v", 100).difference.se / np.sqrt(3)
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * se, rel=1e-3)


def test_variants_of_one_base_have_its_part_of_the_variance_in_common():
    """As eight arms beside one control: the mean of the arms minus the control, by hand."""
    many = pool("code", [compared("a", f"a{n}", 100) for n in range(8)])
    base, arm = 0.3 * 0.7 / 1000, 0.4 * 0.6 / 1000
    half = 1.96 * np.sqrt(base + arm / 8)
    assert (many.high - many.low) / 2 == pytest.approx(half, rel=0.01)
    assert (many.pairs, many.groups, many.tau) == (8, 1, None)
    assert "one independent group" in many.sentence


def test_steps_of_a_chain_come_to_its_ends():
    """The mean of three steps is a third of the way from the first model to the last."""
    counts = [accuracy(right, 1000) for right in (300, 350, 400, 450)]
    steps = [
        compare_recorded(
            Pair("code", f"m{n}", f"m{n + 1}"),
            *({"ops1plus": c} for c in counts[n : n + 2]),
            {"ops1plus": 0.2},
        )[0]
        for n in range(3)
    ]
    found = pool("code", steps)
    half = 1.96 * np.sqrt(0.3 * 0.7 / 1000 + 0.45 * 0.55 / 1000) / 3
    assert found.value == pytest.approx(0.05) and found.groups == 1
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.05)


def test_controls_and_buckets_are_not_pooled():
    verdicts = [judge(compared("a", "a1", 100)), judge(compared("a", "t", 500, "positive"))]
    other = judge(replace(compared("c", "c1", -300), bucket="ops3"))
    [found] = pool_all([*verdicts, other])
    assert found.pairs == 1 and found.value == pytest.approx(0.1)


def test_the_published_hypotheses():
    """Over the paper's pairs, code and alignment gain, and math is open."""
    suite = load_suite("paper")
    found = {entry.hypothesis: entry for entry in pool_all(judge_recorded(suite, suite.recorded_baseline))}
    assert {name: entry.outcome for name, entry in found.items()} == {
        "code": "supported", "math": "open", "alignment": "supported",
    }  # fmt: skip
    assert [found[name].groups for name in ("code", "math", "alignment")] == [5, 5, 10]


def test_sensitivity_of_published_findings_to_clustering():
    suite = load_suite("paper")
    found = {
        verdict.comparison.pair.variant: verdict
        for verdict in judge_recorded(suite, suite.recorded_baseline)
        if verdict.comparison.bucket == "ops1plus"
    }
    assert dict(found["codellama-13b"].if_clustered) == {1.4: "better", 2.0: "better"}
    assert dict(found["llemma-34b"].if_clustered)[1.4] == "no difference shown"
    assert "becomes 'no difference shown' under a design effect of 1.4" in found["llemma-34b"].sentence
