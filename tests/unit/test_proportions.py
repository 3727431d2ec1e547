"""One proportion: exact intervals and tests compared with SciPy's, and the effect of clustering."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, poisson_binom

from bench.proportions import ALPHA, accuracy, effective_size, exact_interval, exact_p

counts = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@pytest.mark.parametrize(
    ("correct", "n", "low", "high"),
    [
        pytest.param(5, 10, 0.1871, 0.8129, id="half of ten: Clopper and Pearson's"),
        pytest.param(0, 29, 0.0, 0.1194, id="none: 1 - .025 ** (1 / 29)"),
        pytest.param(29, 29, 0.8806, 1.0, id="all"),
        pytest.param(0, 0, 0.0, 1.0, id="nothing asked says nothing"),
    ],
)
def test_interval_by_hand(correct, n, low, high):
    found = accuracy(correct, n)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-4)


@settings(deadline=None, database=None)
@given(counts)
def test_interval_of_counts_is_scipys_exact_one(pair):
    correct, n = pair
    second = binomtest(correct, n).proportion_ci(method="exact")
    assert exact_interval(correct / n, n, ALPHA) == pytest.approx((second.low, second.high), abs=1e-6)


@settings(deadline=None, database=None)
@given(counts, st.floats(0.01, 0.99), st.floats(1, 5))
def test_p_is_below_alpha_just_where_the_interval_excludes_the_expectation(pair, expected, design_effect):
    correct, n = pair
    low, high = exact_interval(correct / n, n / design_effect, ALPHA)
    p = exact_p(correct / n, n / design_effect, expected)
    assert (p < ALPHA) == (not low <= expected <= high) or p == pytest.approx(ALPHA, abs=1e-9)


@settings(deadline=None, database=None)
@given(st.lists(st.floats(0.02, 0.9), min_size=1, max_size=40), st.data())
def test_p_is_never_below_the_exact_one_of_guesses_with_different_chances(chances, data):
    correct = data.draw(st.integers(0, len(chances)))
    guesses, expected = poisson_binom(chances), sum(chances) / len(chances)
    tail = min(float(guesses.sf(correct - 1)), float(guesses.cdf(correct)))
    p = exact_p(correct / len(chances), len(chances), expected)
    assert p >= min(1.0, 2 * tail) - 1e-9 or abs(correct - sum(chances)) < 1  # Hoeffding (1956), theorem 4


@pytest.mark.parametrize(
    ("n", "scenarios", "design_effect", "size"),
    [
        pytest.param(100, 0, 1.0, 100, id="counts"),
        pytest.param(100, 100, 1.0, 100, id="a scenario a query"),
        pytest.param(700, 100, 2.0, 350 * (1.9634 / 1.9842) ** 2, id="quantiles of t, 699 and 99 degrees"),
        pytest.param(7, 1, 7.0, 0, id="one scenario says nothing"),
    ],
)
def test_effective_size_by_hand(n, scenarios, design_effect, size):
    assert effective_size(n, scenarios, design_effect) == pytest.approx(size, rel=1e-4)


def test_interval_of_one_scenario_is_everything():
    assert (accuracy(7, 7, 1, 7.0).low, accuracy(0, 7, 1, 7.0).high) == (0.0, 1.0)
