"""Counts -> Accuracy: a proportion with its exact interval on the effective sample size, and its exact test.

Every test of the suite is two-sided at ALPHA. Every interval matches its test: it excludes a value exactly
when the test rejects the value. For one proportion it is Clopper & Pearson's (1934), with n divided by the
design effect and corrected for few scenarios (Korn & Graubard 1998). Its level also holds for a guessing
model, because a sum of independent guesses with different chances has lighter tails than the binomial with
their mean (Hoeffding 1956).
"""

from __future__ import annotations

from scipy.special import betainc, betaincinv, stdtrit

from bench.records import Accuracy

ALPHA = 0.05


def accuracy(correct: int, n: int, scenarios: int = 0, design_effect: float = 1.0) -> Accuracy:
    """A proportion with its 95% interval. n = 0 gives the interval [0, 1].

    scenarios: 0 if only counts are known. n is then the effective size.
    """
    size = effective_size(n, scenarios, design_effect)
    low, high = exact_interval(correct / n if n else 0.0, size, ALPHA)
    return Accuracy(n, correct, low, high, scenarios, design_effect)


def effective_size(n: int, scenarios: int, design_effect: float) -> float:
    """The effective number of independent queries: n / design effect, and less for few scenarios.

    The ratio of t quantiles covers the uncertainty of the design effect itself (Korn & Graubard 1998).
    """
    if not scenarios:
        return float(n)
    if scenarios == 1:
        return 0.0
    return n / design_effect * float(t_quantile(n - 1) / t_quantile(scenarios - 1)) ** 2


def t_quantile(df: float, alpha: float = ALPHA) -> float:
    """The two-sided quantile of Student's t."""
    return float(stdtrit(df, 1 - alpha / 2))


def exact_interval(share: float, size: float, alpha: float) -> tuple[float, float]:
    """Clopper and Pearson's interval at level 1 - alpha. size may be fractional."""
    right, wrong = share * size, (1 - share) * size
    low = float(betaincinv(right, wrong + 1, alpha / 2)) if right > 0 else 0.0
    high = float(betaincinv(right + 1, wrong, 1 - alpha / 2)) if wrong > 0 else 1.0
    return low, high


def exact_p(share: float, size: float, expected: float) -> float:
    """Two-sided p of an expected proportion. It is below alpha exactly when exact_interval excludes it."""
    right, wrong = share * size, (1 - share) * size
    as_many = float(betainc(right, wrong + 1, expected)) if right > 0 else 1.0
    as_few = float(betainc(wrong, right + 1, 1 - expected)) if wrong > 0 else 1.0
    return min(1.0, 2 * min(as_many, as_few))
