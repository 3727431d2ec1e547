"""Accuracies and differences against hand calculations and second implementations."""

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import bootstrap, permutation_test
from statsmodels.stats.multitest import multipletests

from bench.records import Score
from bench.scoring.stats import (
    accuracy,
    accuracy_of,
    benjamini_hochberg,
    clustered_difference,
    compare_counts,
    compare_scores,
    counts_over,
    equivalent,
    holm,
    no_difference,
    over_random,
    sign_flip_tails,
)


@pytest.mark.parametrize(
    ("correct", "n", "low", "high"),
    [
        pytest.param(5, 10, 0.2366, 0.7634, id="half of ten"),  # (p + z²/2n ± z√(pq/n + z²/4n²)) / (1 + z²/n)
        pytest.param(0, 29, 0.0, 0.1170, id="none: z²/(n + z²)"),
        pytest.param(29, 29, 0.8830, 1.0, id="all"),
        pytest.param(0, 0, 0.0, 1.0, id="nothing asked says nothing"),
    ],
)
def test_wilson_interval_by_hand(correct, n, low, high):
    found = accuracy(correct, n)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-4)


def scores(pattern: str, num_ops: int = 1, boxes: int = 2) -> list[Score]:
    """ "1101": right and wrong answers, `boxes` a scenario."""
    return [
        Score(f"s{i // boxes}-1", f"s{i // boxes}", i % boxes, num_ops, None if mark == "1" else "other")
        for i, mark in enumerate(pattern)
    ]


def test_accuracy_of_a_bucket_counts_its_queries_only():
    mixed = scores("11", num_ops=0) + scores("10", num_ops=2)
    assert [accuracy_of(mixed, bucket).value for bucket in ("ops0", "ops2", "ops1plus")] == [1.0, 0.5, 0.5]
    assert accuracy_of(mixed, "ops3").n == 0


def test_difference_is_of_the_same_queries_and_clustered_by_scenario():
    base, variant = scores("0000001100"), scores("1101001100")
    found = compare_scores(base, variant, "ops1plus")
    # sums a scenario 2, 1, 0, 0, 0; mean .3; CR1 with one regressor: sum of squared residual sums
    residuals = np.array([2, 1, 0, 0, 0]) - 0.3 * 2
    se = np.sqrt((residuals**2).sum() * (5 / 4) * (9 / 9)) / 10
    t = 2.7764  # Student's t, 4 degrees of freedom
    assert found.value == pytest.approx(0.3)
    assert (found.low, found.high) == pytest.approx((0.3 - t * se, 0.3 + t * se), abs=1e-4)
    assert found.detectable == pytest.approx((1.6449 + 0.8416) * se, abs=1e-4)


def test_comparing_different_queries_is_refused():
    with pytest.raises(ValueError, match="different queries"):
        compare_scores(scores("10"), [*scores("1"), Score("other-1", "s0", 1, 1, None)], "ops1plus")


@pytest.fixture(scope="module")
def clustered() -> tuple[np.ndarray, np.ndarray]:
    """500 scenarios of 7 correlated differences with a small gain."""
    rng = np.random.default_rng(1)
    shift = rng.normal(0.1, 0.5, 500)
    values = np.clip(np.round(np.repeat(shift, 7) + rng.normal(0, 0.5, 3500)), -1, 1)
    return values, np.repeat(np.arange(500), 7).astype(str)


def test_interval_agrees_with_a_bootstrap_over_scenarios(clustered):
    values, groups = clustered
    found = clustered_difference(values, groups)
    sums = values.reshape(500, 7).sum(axis=1)
    second = bootstrap(
        (sums / 7,), np.mean, n_resamples=4000, rng=np.random.default_rng(0)
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx((second.low, second.high), abs=0.005)


def test_sign_flip_p_agrees_with_scipy(clustered):
    values, _ = clustered
    sums = values.reshape(500, 7).sum(axis=1)[:60]
    second = permutation_test(
        (sums,),
        np.sum,
        permutation_type="samples",
        alternative="greater",
        n_resamples=9999,
        rng=np.random.default_rng(5),
    )
    assert sign_flip_tails(sums)[0] == pytest.approx(second.pvalue, abs=0.02)
    assert sign_flip_tails(-sums) == sign_flip_tails(sums)[::-1]


def test_sign_flip_p_of_few_scenarios_is_the_exact_one():
    # five sums of 1: only the unflipped signs reach 5, one of 2**5
    assert sign_flip_tails(np.ones(5))[0] == pytest.approx(1 / 32, abs=0.01)


def test_false_positives_stay_at_their_level_when_scenarios_are_correlated():
    rng = np.random.default_rng(3)
    shifts = rng.choice([-1.0, 0.0, 1.0], size=(400, 40))  # all seven queries of a scenario go together
    p_values = [sign_flip_tails(7 * row)[0] for row in shifts]
    assert np.mean(np.array(p_values) < 0.05) < 0.09


def test_no_difference_at_all_is_not_certainty():
    found = clustered_difference([0.0] * 29, list(map(str, range(29))))
    assert found == no_difference(29)
    assert found.high == pytest.approx(0.1170, abs=1e-4)


def test_one_scenario_says_nothing():
    found = clustered_difference([1.0, 1.0], ["a", "a"])
    assert (found.low, found.high, found.p) == (-1.0, 1.0, 1.0)


def test_over_random_compares_with_each_querys_own_expectation():
    answered = scores("1100")
    expected = {(score.example_id, score.box): 0.25 for score in answered}
    assert over_random(answered, expected, "ops1plus").value == pytest.approx(0.25)


def test_none_of_five_right_is_not_below_guessing():
    """All five sums are below zero, so sign flips alone give 1/32; a guesser has none right in .88**5."""
    answered = scores("00000", boxes=1)
    found = over_random(answered, {(score.example_id, score.box): 0.12 for score in answered}, "ops1plus")
    assert found.p_below == pytest.approx(0.88**5)


def test_who_guesses_is_rarely_called_better_or_worse_than_guessing():
    """Fifteen scenarios of one query, as ops6 has at a limit of 100; sign flips alone say "below" in 15%."""
    rng = np.random.default_rng(4)
    answered = scores("0" * 15, boxes=1)
    expected = {(score.example_id, score.box): 0.12 for score in answered}
    found = []
    for right in rng.random((400, 15)) < 0.12:
        guessed = scores("".join("1" if mark else "0" for mark in right), boxes=1)
        margin = over_random(guessed, expected, "ops1plus")
        found.append((margin.p < 0.05, margin.p_below < 0.05))
    assert np.mean(found, axis=0).max() < 0.07  # 5%, and 2 standard errors of 400 runs


def test_published_llama_2_13b_against_code_llama_13b():
    """Kim et al. (2024): 25.18 -> 60.78 with one operation, 17.24 -> 13.79 on the 29 queries with seven."""
    one = compare_counts(accuracy(355, 1410), accuracy(857, 1410))
    seven = compare_counts(accuracy(5, 29), accuracy(4, 29))
    assert one.value == pytest.approx(0.356, abs=5e-4) and one.p < 1e-6
    assert (seven.low, seven.high) == pytest.approx((-0.226, 0.159), abs=2e-3)


def test_counts_over_a_known_expectation_by_the_binomial():
    found = counts_over(accuracy(5, 10), 0.2)
    assert found.p == pytest.approx(0.0328, abs=1e-4)  # 1 - B(4; 10, .2)


@pytest.mark.parametrize(
    ("half_width", "equal"), [pytest.param(0.02, True, id="tight"), pytest.param(0.05, False, id="wide")]
)
def test_equivalence_needs_a_tight_interval(half_width, equal):
    difference = compare_counts(accuracy(50, 100), accuracy(50, 100))
    tight = type(difference)(0.0, -half_width, half_width, 0.5, 0.5, 0.1)
    assert equivalent(tight, margin=0.03) is equal


def test_adjustments_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert benjamini_hochberg([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.04, 0.04])


@patch("gc.collect")  # which statsmodels calls each time: a tenth of a second beside torch
@given(p_values=st.lists(st.floats(0, 1), max_size=20))
def test_adjustments_agree_with_statsmodels(_collect, p_values):
    for adjust, method in ((holm, "holm"), (benjamini_hochberg, "fdr_bh")):
        second = multipletests(p_values, method=method)[1] if p_values else []
        assert adjust(p_values) == pytest.approx(list(second))
