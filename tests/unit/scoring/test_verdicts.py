"""The finding of a comparison, and when a case fails: every outcome, from figures chosen by hand."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.proportions import ALPHA, accuracy
from bench.records import BUCKETS, Comparison, Evaluation, Pair, Score
from bench.run.session import accuracies
from bench.scoring.sentences import name_bucket, show_p
from bench.scoring.stats import clustered_difference
from bench.scoring.verdicts import (
    adjust_over_pairs,
    compare,
    compare_recorded,
    judge,
    judge_over_random,
)

PAIR = Pair("code", "base", "variant")


def compared(
    base: int, variant: int, n: int = 1000, baseline: float = 0.2, pair: Pair = PAIR
) -> list[Comparison]:
    """From counts, on ops1plus alone."""
    recorded = [{"ops1plus": accuracy(correct, n)} for correct in (base, variant)]
    return compare_recorded(pair, *recorded, baseline={"ops1plus": baseline})


@pytest.mark.parametrize(
    ("base", "variant", "outcome", "case", "said"),
    [
        pytest.param(300, 500, "better", "passes", "Both models are above random", id="gain"),
        pytest.param(500, 300, "worse", "fails", "Both models are above random", id="loss"),
        pytest.param(300, 310, "no difference shown", "open", "with 80% power", id="too close to call"),
        pytest.param(50, 150, "better", "open", "Both models are below random", id="a gain below guessing"),
        pytest.param(150, 50, "worse", "fails", "Both models are below random", id="a loss below guessing"),
        pytest.param(
            150, 300, "better", "passes", "variant is above random guessing, and base", id="across guessing"
        ),
        pytest.param(
            200, 200, "no difference shown", "open", "Neither model is shown to", id="guesses"
        ),
    ],
)
def test_gain_and_gate_are_two_findings(base, variant, outcome, case, said):
    verdict = judge(compared(base, variant)[0])
    assert (verdict.outcome, verdict.case) == (outcome, case)
    assert said in verdict.sentence and "control" not in verdict.sentence


def test_a_large_sample_without_a_difference_is_equivalent():
    verdict = judge(compared(30000, 30010, n=100_000)[0])
    assert verdict.outcome == "equivalent" and "agree within 3.0 points" in verdict.sentence


def test_a_sentence_says_the_figures():
    (found,) = compared(300, 500)
    sentence = judge(found).sentence
    for figure in (
        "20.0 points above", "50.0% and 30.0%", "random guessing 20.0%", "n = 1000", "from counts",
        "95% interval +15.8 to +24.2", "p < 0.0002",
    ):  # fmt: skip
        assert figure in sentence
    assert "adjusted" not in sentence  # one test is not adjusted


def test_a_sentence_says_over_how_many_tests_p_is_adjusted():
    one, other = compared(300, 345), compared(300, 345, pair=Pair("code", "base", "other"))
    (found, *_), _ = adjust_over_pairs([one, other])
    assert "97.5% interval" in judge(found).sentence
    assert f"p adjusted over 2 tests = {2 * found.difference.p:.2g}" in judge(found).sentence


@pytest.mark.parametrize(("p", "said"), [(0.0001, "< 0.0002"), (1e-30, "< 0.0002"), (0.031, "0.031")])
def test_p_has_a_floor(p, said):
    assert show_p(p) == said


@pytest.mark.parametrize(
    ("control", "base", "variant", "case", "said"),
    [
        pytest.param("positive", 300, 500, "passes", "control as expected", id="positive shows its gain"),
        pytest.param("positive", 300, 310, "fails", "control not as expected", id="positive shows none"),
        pytest.param("positive", 300, 200, "fails", "control not as expected", id="positive falls"),
        pytest.param("positive", 50, 150, "passes", "control as expected", id="positive, below guessing"),
        pytest.param("negative", 300, 310, "passes", "control as expected", id="negative shows none"),
        pytest.param("negative", 300, 500, "fails", "control not as expected", id="negative shows a gain"),
        pytest.param("negative", 50, 150, "fails", "control not as expected", id="negative, below guessing"),
        pytest.param("negative", 300, 200, "passes", "control as expected", id="negative falls"),
    ],
)
def test_what_becomes_of_a_control(control, base, variant, case, said):
    (found,) = compared(base, variant, pair=Pair("code", "base", "variant", control))
    assert judge(found).case == case and said in judge(found).sentence


def test_a_case_fails_only_for_a_finding_that_holds_over_all_cases_of_the_run():
    (found,) = compared(300, 250)  # p = .012
    assert [judge(found, cases).case for cases in (1, 3, 45)] == ["fails", "fails", "open"]
    assert {judge(found, cases).outcome for cases in (1, 3, 45)} == {"worse"}


def test_a_negative_control_with_a_gain_that_chance_may_have_made_is_open():
    (found,) = compared(250, 300, pair=Pair("code", "base", "variant", "negative"))
    assert [judge(found, cases).case for cases in (1, 3, 45)] == ["fails", "fails", "open"]
    assert judge(replace(found, bucket="ops0")).case == "open"  # nothing to track


def test_holm_makes_a_family_stricter_and_counts_pairs_that_failed():
    one, other = compared(300, 345), compared(300, 345, pair=Pair("code", "base", "other"))
    alone, family, with_failed = (
        adjust_over_pairs(pairs, untested)[0][0]
        for pairs, untested in (([one], 0), ([one, other], 0), ([one, other], 1))
    )
    assert family.p_adjusted == pytest.approx(2 * alone.p_adjusted)
    assert with_failed.p_adjusted == pytest.approx(3 * alone.p_adjusted)
    assert (alone.tests, family.tests, with_failed.tests) == (1, 2, 3)
    assert alone.difference.detectable < family.difference.detectable < with_failed.difference.detectable


@settings(deadline=None, database=None)
@given(st.lists(st.integers(200, 400), min_size=1, max_size=6), st.integers(0, 3))
def test_a_finding_its_interval_and_its_p_never_disagree(variants, untested):
    pairs = [
        compared(300, right, pair=Pair("code", "base", f"variant{number}"))
        for number, right in enumerate(variants)
    ]
    for (found,) in adjust_over_pairs(pairs, untested):
        verdict, difference = judge(found), found.difference
        shown = verdict.outcome in ("better", "worse")
        assert shown == (found.p_adjusted < ALPHA) == (not difference.low <= 0 <= difference.high)
        assert not shown or (verdict.outcome == "better") == (difference.value > 0)


def evaluation(name: str, right: int, scenarios: int = 40) -> Evaluation:
    """Scenarios with two queries, after one and two operations. The first `right` scenarios are right."""
    found = tuple(
        Score(f"s{number}-1", f"s{number}", box, box + 1, None if number < right else "other")
        for number in range(scenarios)
        for box in (0, 1)
    )
    return Evaluation(name, {}, found, {}, "reference", {})


def paired(base: Evaluation, variant: Evaluation) -> list[Comparison]:
    measured = accuracies(base), accuracies(variant)
    return compare(PAIR, base, variant, measured, dict.fromkeys(BUCKETS, 0.1))


def test_a_pair_is_compared_on_every_bucket_that_has_queries():
    found = paired(evaluation("base", 8), evaluation("variant", 30))
    assert [entry.bucket for entry in found] == ["ops1", "ops2", "ops1plus"]
    assert all(entry.paired and entry.baseline == pytest.approx(0.1) for entry in found)
    assert [judge(entry).outcome for entry in found] == ["better"] * 3
    assert [entry.tests for entry in found] == [2, 2, 1]
    assert "n = 80 in 40 scenarios" in judge(found[-1]).sentence


def test_too_few_scenarios_is_an_outcome_of_its_own():
    """Four scenarios, none right against all right: a gain of 100 points that is not significant."""
    found = paired(evaluation("base", 0, scenarios=4), evaluation("variant", 4, scenarios=4))
    verdict = judge(found[-1])
    assert verdict.outcome == "too few scenarios" and "Fewer than 6 scenarios" in verdict.sentence
    for control in ("positive", "negative"):
        pair = Pair("code", "base", "variant", control)
        assert judge(replace(found[-1], pair=pair)).case == "open"


def test_a_planted_gain_of_ten_points_fails_the_negative_control():
    """A base that is right on about 5%, over the 90 cases of a run of the embedded suite."""
    rng = np.random.default_rng(0)
    scenario = np.repeat(np.arange(496), 7)
    base = rng.random(len(scenario)) < 0.05
    variant = base | (rng.random(len(scenario)) < 0.105)
    found = replace(
        compared(50, 150)[0],
        pair=Pair("code", "base", "variant", "negative"),
        difference=clustered_difference(variant.astype(float) - base, scenario),
    )
    assert 0.09 < found.difference.value < 0.12 and judge(found, cases=90).case == "fails"


def test_recorded_figures_are_compared_where_this_data_has_a_baseline():
    recorded = {"ops1": accuracy(30, 100), "ops7": accuracy(3, 10)}
    assert [entry.bucket for entry in compare_recorded(PAIR, recorded, recorded, {"ops1": 0.2})] == ["ops1"]


@pytest.mark.parametrize(
    ("right", "cases", "above", "said"),
    [
        pytest.param(60, 90, True, "above guessing: m is right on 60.0%", id="above"),
        pytest.param(20, 90, None, "not shown to differ from guessing", id="open"),
        pytest.param(2, 90, False, "below guessing", id="below"),
        pytest.param(9, 1, False, "below guessing", id="below, in a run of one case"),
        pytest.param(9, 90, None, "below guessing", id="below, but not over all cases of the run"),
    ],
)
def test_a_model_fails_against_guessing_where_that_holds_over_all_cases(right, cases, above, said):
    (found,) = compared(right, right, n=100)
    found_above, sentence = judge_over_random("m", "ops1plus", found.base, found.base_over_random, cases)
    assert found_above is above and said in sentence


def test_buckets_are_named_as_people_say_them():
    assert [name_bucket(bucket) for bucket in (BUCKETS[1], BUCKETS[3], "ops1plus")] == [
        "queries with 1 operation",
        "queries with 3 operations",
        "queries with 1 or more operations",
    ]
