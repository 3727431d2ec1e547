"""Scores -> Accuracy, Difference, Comparison. The scenario is the unit that is resampled.

The seven queries of an example share a completion and the examples of a scenario share its text; a test
that takes queries for independent is wrong three to five times too often (simulations: CONTRIBUTING.md).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
from scipy.stats import binomtest, false_discovery_control, norm, poisson_binom
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.proportion import (
    confint_proportions_2indep,
    test_proportions_2indep,
)

from bench.records import BUCKETS, Accuracy, Difference, Score, accuracy, in_bucket

ALPHA = 0.05
POWER = 0.80
RESAMPLES = 9999
SEED = 0
Z_TWO_SIDED = float(norm.ppf(1 - ALPHA / 2))
DETECTABLE_PER_SE = float(norm.ppf(1 - ALPHA) + norm.ppf(POWER))  # one-sided test


def accuracy_of(scores: Sequence[Score], bucket: str) -> Accuracy:
    """The share of right answers in a bucket."""
    chosen = [score.correct for score in scores if in_bucket(score.num_ops, bucket)]
    return accuracy(sum(chosen), len(chosen))


def intervals_meet(one: Accuracy, other: Accuracy) -> bool:
    """Whether two 95% intervals share a point: they do not where two measurements disagree."""
    return one.low <= other.high and other.low <= one.high


def clustered_difference(differences: Sequence[float], clusters: Sequence[str]) -> Difference:
    """The mean of per-query differences, each in [-1, 1], and whether it is above zero.

    Interval: cluster-robust standard error with t quantiles. p: sign flips of the clusters' sums.
    With fewer than two clusters nothing can be said: the interval is [-1, 1].
    """
    values = np.asarray(differences, dtype=float)
    names, groups = np.unique(np.asarray(clusters), return_inverse=True)
    if len(names) < 2:
        return Difference(float(values.mean()) if len(values) else 0.0, -1.0, 1.0, 1.0, 1.0, 1.0)
    if not values.any():
        return no_difference(len(values))
    fit = OLS(values, np.ones_like(values)).fit(cov_type="cluster", cov_kwds={"groups": groups}, use_t=True)
    low, high = fit.conf_int(ALPHA)[0]
    p, p_below = sign_flip_tails(np.bincount(groups, weights=values))
    return Difference(
        value=float(values.mean()),
        low=max(float(low), -1.0),
        high=min(float(high), 1.0),
        p=p,
        p_below=p_below,
        detectable=DETECTABLE_PER_SE * float(fit.bse[0]),
    )


def no_difference(n: int) -> Difference:
    """n queries, none of which differs: a standard error of zero would promise too much.

    The bound is Wilson's for 0 of n, the largest share of queries that could differ unseen.
    """
    bound = accuracy(0, n).high
    return Difference(0.0, -bound, bound, 1.0, 1.0, bound * DETECTABLE_PER_SE / Z_TWO_SIDED)


def sign_flip_tails(sums: np.ndarray) -> tuple[float, float]:
    """One-sided p of the sum under random flips of each cluster's sign: that it is above, and below.

    sums: (clusters,) float.
    """
    resampled = random_signs(len(sums)) @ sums.astype(np.float32)
    as_large = int((resampled >= sums.sum() - 1e-3).sum())  # few distinct values: ties are common
    as_small = int((resampled <= sums.sum() + 1e-3).sum())
    return (1 + as_large) / (1 + RESAMPLES), (1 + as_small) / (1 + RESAMPLES)


@lru_cache(maxsize=32)
def random_signs(clusters: int) -> np.ndarray:
    """(RESAMPLES, clusters) float32 of -1 and 1, the same on every call, and made once a bucket."""
    return np.random.default_rng(SEED).choice(np.array([-1, 1], dtype=np.float32), size=(RESAMPLES, clusters))


def compare_scores(base: Sequence[Score], variant: Sequence[Score], bucket: str) -> Difference:
    """Variant minus base on the same queries. Raises ValueError if the queries are not the same."""
    before, after = (
        {(score.example_id, score.box): score for score in scores if in_bucket(score.num_ops, bucket)}
        for scores in (base, variant)
    )
    if before.keys() != after.keys():
        raise ValueError("base and variant were asked different queries. Evaluate both on one data set.")
    asked = sorted(before)
    return clustered_difference(
        [float(after[query].correct) - float(before[query].correct) for query in asked],
        [before[query].scenario_id for query in asked],
    )


def over_random(
    scores: Sequence[Score], expected: Mapping[tuple[str, int], float], bucket: str
) -> Difference:
    """Accuracy minus the random baseline's expectation, query by query.

    expected: (example id, box) -> probability that a random guess is right. p: the larger of the sign flips'
    and the exact probability that a guesser does as well. Sign flips alone are wrong for few scenarios: a
    right answer less its expectation is skewed, and they assume symmetry.
    """
    chosen = [score for score in scores if in_bucket(score.num_ops, bucket)]
    chances = [expected[score.example_id, score.box] for score in chosen]
    found = clustered_difference(
        [float(score.correct) - chance for score, chance in zip(chosen, chances, strict=True)],
        [score.scenario_id for score in chosen],
    )
    above, below = guessing_tails(sum(score.correct for score in chosen), tuple(sorted(chances)))
    return replace(found, p=max(found.p, above), p_below=max(found.p_below, below))


@lru_cache(maxsize=64)
def guessing_tails(correct: int, chances: tuple[float, ...]) -> tuple[float, float]:
    """Probabilities that random guessing is right so often or more, and so often or less.

    chances: of each query. Exact: guesses are independent, so their sum is Poisson-binomial.
    """
    if not chances:
        return 1.0, 1.0
    guesses = poisson_binom(chances)
    return float(guesses.sf(correct - 1)), float(guesses.cdf(correct))


def margins(scores: Sequence[Score], expected: Mapping[tuple[str, int], float]) -> dict[str, Difference]:
    """Accuracy over random guessing in each bucket that has queries; expected as over_random takes it."""
    asked = {score.num_ops for score in scores}
    return {
        bucket: over_random(scores, expected, bucket)
        for bucket in BUCKETS
        if any(in_bucket(num_ops, bucket) for num_ops in asked)
    }


def compare_counts(base: Accuracy, variant: Accuracy) -> Difference:
    """Variant minus base where only counts are known: unpaired and unclustered, so say so.

    Newcombe's interval and the one-sided score test.
    """
    counts = (variant.correct, variant.n, base.correct, base.n)
    low, high = map(float, confint_proportions_2indep(*counts, method="newcomb", compare="diff", alpha=ALPHA))
    constant = base.correct + variant.correct in (0, base.n + variant.n)  # the score test divides by zero
    with np.errstate(divide="ignore"):  # it makes a ratio too, which is not read
        test = None if constant else test_proportions_2indep(*counts, method="score", alternative="larger")
    p = float(test.pvalue) if test else 1.0
    return Difference(
        value=variant.value - base.value,
        low=low,
        high=high,
        p=p,
        p_below=1.0 if constant else 1 - p,
        detectable=DETECTABLE_PER_SE * (high - low) / 2 / Z_TWO_SIDED,
    )


def counts_over(observed: Accuracy, expected: float) -> Difference:
    """A proportion minus a known expectation, from counts: Wilson's interval, the exact binomial test."""
    tails = [binomtest(observed.correct, observed.n, expected, side).pvalue for side in ("greater", "less")]
    return Difference(
        value=observed.value - expected,
        low=observed.low - expected,
        high=observed.high - expected,
        p=float(tails[0]),
        p_below=float(tails[1]),
        detectable=DETECTABLE_PER_SE * math.sqrt(expected * (1 - expected) / observed.n),
    )


def equivalent(difference: Difference, margin: float) -> bool:
    """Two one-sided tests: whether the difference lies within the margin, from its 95% interval's width."""
    se = (difference.high - difference.low) / 2 / Z_TWO_SIDED
    return bool(abs(difference.value) + norm.ppf(1 - ALPHA) * se < margin)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted for a family of confirmatory tests (the pairs of a hypothesis)."""
    order = np.argsort(p_values)
    steps = np.arange(len(order), 0, -1) * np.asarray(p_values)[order]
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted.tolist()


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Adjusted for a family of exploratory tests (the buckets of a pair)."""
    return false_discovery_control(p_values, method="bh").tolist() if p_values else []
