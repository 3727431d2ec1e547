"""Accuracies and differences, compared with hand calculations and second implementations."""

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap, permutation_test
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.multitest import multipletests

from bench.proportions import ALPHA, accuracy
from bench.records import Score
from bench.scoring.stats import (
    accuracy_of,
    agreement_p,
    benjamini_hochberg,
    clustered_accuracy,
    clustered_difference,
    compare_counts,
    compare_scores,
    gates,
    holm,
    leveled,
)


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


def test_design_effect_by_hand():
    """Sums 2, 1, 0, 0, 0 of two queries each: share .3, variance 5/4 * 3.2 / 10 a query, binomial .21."""
    found = accuracy_of(scores("1101000000"), "ops1plus")
    residuals = np.array([2, 1, 0, 0, 0]) - 0.6
    assert (found.n, found.scenarios) == (10, 5)
    assert found.design_effect == pytest.approx(5 / 4 * (residuals**2).sum() / 10 / 0.21)
    assert (found.low, found.high) != (accuracy(3, 10).low, accuracy(3, 10).high)


def test_scenarios_that_are_right_or_wrong_as_a_whole_count_as_one_query_each():
    whole = clustered_accuracy([True] * 7 * 40 + [False] * 7 * 60, np.repeat(np.arange(100), 7))
    assert whole.design_effect == pytest.approx(7 * 100 / 99)
    single = clustered_accuracy([True] * 40 + [False] * 60, np.arange(100))
    assert (whole.low, whole.high) == pytest.approx((single.low, single.high), abs=0.003)


@pytest.mark.parametrize("correct", [False, True])
def test_where_all_are_right_or_none_a_scenario_counts_as_one_query(correct):
    found = clustered_accuracy([correct] * 7 * 30, np.repeat(np.arange(30), 7))
    assert found.design_effect == 7
    assert found.high - found.low == pytest.approx(1 - 0.025 ** (1 / 30), abs=0.02)


def test_difference_by_hand():
    """Sums 2, 1, 0, 0, 0 and two scenarios more, with plus and minus the root mean square of 2 and 1."""
    base, variant = scores("0000001100"), scores("1101001100")
    found = compare_scores(base, variant, "ops1plus")
    extra, center = np.sqrt(2.5), 3 / 14
    residuals = np.array([2, 1, 0, 0, 0, extra, -extra]) - center * 2
    se = np.sqrt(7 / 6 * (residuals**2).sum()) / 14
    t = 2.7764  # Student's t, 4 degrees of freedom
    assert found.value == pytest.approx(0.3)
    assert (found.low, found.high) == pytest.approx((center - t * se, center + t * se), abs=1e-4)


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


def test_interval_agrees_with_a_bootstrap_over_scenarios_and_with_cluster_robust_regression(clustered):
    values, groups = clustered
    found = clustered_difference(values, groups)
    sums = values.reshape(500, 7).sum(axis=1)
    resampled = bootstrap((sums / 7,), np.mean, n_resamples=2000, rng=np.random.default_rng(0))
    second = resampled.confidence_interval
    fit = OLS(values, np.ones_like(values)).fit(
        cov_type="cluster", cov_kwds={"groups": np.repeat(np.arange(500), 7)}, use_t=True
    )
    assert (found.low, found.high) == pytest.approx((second.low, second.high), abs=0.005)
    assert (found.low, found.high) == pytest.approx(tuple(fit.conf_int()[0]), abs=0.001)


@pytest.mark.parametrize(("scenarios", "gain"), [(8, 0.3), (20, 0.25), (60, 0.12), (60, 0.0)])
def test_p_agrees_with_sign_flips_of_scenario_sums(scenarios, gain):
    """The exact test under exchangeable models. The largest distance comes from their discrete p-values."""
    rng = np.random.default_rng(scenarios)
    values = rng.choice([-1.0, 0.0, 1.0], p=[0.2 - gain / 2, 0.6, 0.2 + gain / 2], size=(scenarios, 7))
    second = permutation_test(
        (values.sum(axis=1),), np.sum, permutation_type="samples", n_resamples=4999, rng=rng
    )
    found = clustered_difference(values.ravel(), np.repeat(np.arange(scenarios), 7))
    assert found.p == pytest.approx(second.pvalue, abs=0.05)
    assert (found.p < ALPHA) == (second.pvalue < ALPHA)


@pytest.mark.parametrize(("scenarios", "shows"), [(2, False), (5, False), (6, True), (9, True)])
def test_few_scenarios_show_no_more_than_a_sign_test(scenarios, shows):
    """All differ in one direction, so a sign test has p = 2 / 2**scenarios."""
    found = clustered_difference([1.0] * 7 * scenarios, np.repeat(np.arange(scenarios), 7))
    assert (found.p < ALPHA) is shows
    assert (found.low > 0) is shows
    assert shows or found.detectable == 1.0


def test_a_difference_between_none_and_all_right_has_an_interval():
    found = clustered_difference([1.0] * 29, np.arange(29))
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low < 0.9  # Clopper and Pearson's bound of 29 of 29 is .88


def test_no_difference_at_all_is_not_certainty_and_counts_scenarios():
    single = clustered_difference([0.0] * 29, np.arange(29))
    whole = clustered_difference([0.0] * 29 * 7, np.repeat(np.arange(29), 7))
    assert 0.08 < single.high < 0.12  # the share that could differ unseen: 1 - .05 ** (1 / 29) is .098
    assert (whole.low, whole.high) == pytest.approx((single.low, single.high))


def test_one_scenario_says_nothing():
    found = clustered_difference([1.0, 1.0], ["a", "a"])
    assert (found.low, found.high) == (-1.0, 1.0) and found.p > 0.5


def test_nothing_asked_says_nothing():
    nothing = accuracy(0, 0)
    for found in (clustered_difference([], []), compare_counts(nothing, nothing)):
        assert (found.value, found.p) == (0.0, 1.0)
        assert found.low < -0.9 and found.high > 0.9
    assert gates({"ops1": nothing}, {"ops1": 0.1}) == {}
    assert clustered_accuracy([], []) == accuracy(0, 0)


def test_a_difference_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="not a number"):
        clustered_difference([0.0, float("nan")], ["a", "b"])


def test_detectable_is_that_of_the_test_that_will_be_made(clustered):
    """The z values of 2.5% and 20% are 1.96 and .84. Over five tests, that of .5% is 2.58."""
    found = clustered_difference(*clustered)
    five = leveled(found, power_alpha=ALPHA / 5)
    assert found.detectable == pytest.approx((1.96 + 0.84) * found.se, rel=0.1)
    assert five.detectable / found.detectable == pytest.approx((2.58 + 0.84) / (1.96 + 0.84), rel=0.02)


def gate(right: int, n: int, guessing: float):
    return gates(
        {"ops1": clustered_accuracy([True] * right + [False] * (n - right), np.arange(n))}, {"ops1": guessing}
    )["ops1"]


def test_none_of_five_right_is_not_below_guessing():
    """A guessing model has no right answer in .88**5 = 53% of runs."""
    assert gate(0, 5, 0.12).p == 1.0
    assert gate(0, 5, 0.12).standing == "not shown to differ from"


def test_all_of_four_right_is_not_shown_to_differ_from_guessing_half():
    assert gate(4, 4, 0.5).standing == "not shown to differ from"
    assert gate(60, 100, 0.2).standing == "above"
    assert gate(2, 100, 0.2).standing == "below"


def test_gates_are_adjusted_over_the_buckets_of_a_model():
    alone = gates({"ops1": accuracy(30, 100)}, {"ops1": 0.2})["ops1"]
    three = {f"ops{number}": accuracy(20 + 10 * (number == 1), 100) for number in (1, 2, 3)}
    adjusted = gates(three, dict.fromkeys(three, 0.2))["ops1"]
    assert adjusted.p_adjusted == pytest.approx(3 * alone.p)
    assert (alone.standing, adjusted.standing) == ("above", "not shown to differ from")


def test_who_guesses_is_rarely_called_better_or_worse_than_guessing():
    """Fifteen scenarios with one query each, like ops6 at a limit of 100: 2.5% on each side."""
    rng = np.random.default_rng(4)
    standings = [gate(right, 15, 0.12).standing for right in rng.binomial(15, 0.12, 1000)]
    assert max(standings.count("above"), standings.count("below")) < 40


def test_published_llama_2_13b_against_code_llama_13b():
    """Kim et al. (2024): 25.18 -> 60.78 with one operation, 17.24 -> 13.79 on the 29 queries with seven."""
    one = compare_counts(accuracy(355, 1410), accuracy(857, 1410))
    seven = compare_counts(accuracy(5, 29), accuracy(4, 29))
    assert one.value == pytest.approx(0.356, abs=5e-4) and one.p < 1e-6
    shares = 6 / 31, 5 / 31  # Agresti and Caffo: one right and one wrong answer more on each side
    se = np.sqrt(sum(share * (1 - share) / 31 for share in shares))
    center = shares[1] - shares[0]
    assert (seven.low, seven.high) == pytest.approx((center - 1.96 * se, center + 1.96 * se), abs=1e-4)


def test_a_design_effect_widens_the_interval_of_counts():
    plain, clustered = (compare_counts(accuracy(300, 1000), accuracy(345, 1000), e) for e in (1, 2))
    assert clustered.se == pytest.approx(plain.se * np.sqrt(2), rel=0.01)
    assert plain.p < ALPHA < clustered.p


def test_figures_agree_unless_they_are_shown_to_differ():
    observed = clustered_accuracy([True] * 7 * 40 + [False] * 7 * 60, np.repeat(np.arange(100), 7))
    assert agreement_p(observed, accuracy(300, 700)) > 0.5
    assert agreement_p(observed, accuracy(330, 700)) > ALPHA  # independent queries would differ: p = .007
    assert agreement_p(observed, accuracy(600, 700)) < 1e-4


def test_adjustments_by_hand():
    assert holm([0.01, 0.04, 0.03])[0] == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.01, 0.04], untested=1)[0] == pytest.approx([0.03, 0.08])
    assert benjamini_hochberg([0.01, 0.04, 0.03])[0] == pytest.approx([0.03, 0.04, 0.04])


@patch("gc.collect")  # which statsmodels calls each time: a tenth of a second beside torch
@settings(deadline=None, database=None)
@given(p_values=st.lists(st.floats(0, 1), max_size=20))
def test_adjustments_agree_with_statsmodels(_collect, p_values):
    for adjust, method in ((holm, "holm"), (benjamini_hochberg, "fdr_bh")):
        second = multipletests(p_values, method=method)[1] if p_values else []
        assert adjust(p_values)[0] == pytest.approx(list(second))


@settings(deadline=None, database=None)
@given(p_values=st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_an_interval_at_the_level_of_the_family_rejects_what_the_adjusted_p_rejects(p_values):
    for adjust in (holm, benjamini_hochberg):
        adjusted, level = adjust(p_values)
        assert [p < ALPHA for p in adjusted] == [p < level for p in p_values]
