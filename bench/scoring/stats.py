"""Scores -> Accuracy, Gate, Difference. The scenario is the unit of all variances.

The seven queries of an example come from one completion, and the examples of a scenario share its text. A
test that treats queries as independent is wrong up to five times too often (`python -m bench simulate`).

All tests are two-sided at ALPHA, and each has its matching interval (bench/proportions.py). A difference is
tested by Student's t on a smoothed estimate, with one extra scenario in favour of each model (Bonett & Price
2012). So no interval has width zero, and few scenarios show no more than in a sign test.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import sqrt

import numpy as np
from scipy.special import nctdtrinc, stdtr

from bench.proportions import ALPHA, accuracy, effective_size, exact_interval, exact_p, t_quantile
from bench.records import Accuracy, Difference, Gate, Score, in_bucket

POWER = 0.80
NORMAL = 1e9  # degrees of freedom at which Student's t is the normal distribution
MORE_DIFFER = (0.25, 0.7)  # a gain d raises the share of differing queries by these times d and d^2
MARGIN = 0.03  # two models are equivalent if their interval lies within three points of zero
FEWEST_SCENARIOS = 6  # five scenarios that differ in one direction have p = 2 / 2**5 = .06 in a sign test


def accuracy_of(scores: Sequence[Score], bucket: str) -> Accuracy:
    """The share of right answers in a bucket, with an interval clustered by scenario."""
    chosen = [score for score in scores if in_bucket(score.num_ops, bucket)]
    return clustered_accuracy([score.correct for score in chosen], [score.scenario_id for score in chosen])


def clustered_accuracy(correct: Sequence[bool], clusters: Sequence[str] | np.ndarray) -> Accuracy:
    """The share of right queries. Its design effect comes from the cluster sums and is at least 1.

    If all or no queries are right, the variance cannot be estimated. Each cluster then counts as one query.
    """
    right, sizes = cluster_sums(correct, clusters)
    n, total, number = int(sizes.sum()), int(right.sum()), len(sizes)
    if number < 2 or total in (0, n):
        return accuracy(total, n, number, n / max(number, 1) if n else 1.0)
    share = total / n
    variance = number / (number - 1) * ((right - share * sizes) ** 2).sum() / n
    return accuracy(total, n, number, max(1.0, float(variance / (share * (1 - share)))))


def cluster_sums(
    values: Sequence[float] | np.ndarray, clusters: Sequence[str] | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Sum and number of the values in each cluster: (clusters,) float each."""
    _, groups = np.unique(np.asarray(clusters), return_inverse=True)
    return np.bincount(groups, weights=np.asarray(values, dtype=float)), np.bincount(groups).astype(float)


def clustered_difference(
    differences: Sequence[float] | np.ndarray, clusters: Sequence[str] | np.ndarray
) -> Difference:
    """The mean of per-query differences, each in [-1, 1], and a test that it is zero.

    The variance is cluster-robust. Two clusters are added, one in favour of each model (Bonett & Price 2012,
    with the cluster as unit). The sum of an added cluster is the root mean square of the clusters that
    differ, or the mean cluster size if none differs. Raises ValueError if a difference is not a number.
    """
    sums, sizes = cluster_sums(differences, clusters)
    if not np.isfinite(sums).all():
        raise ValueError("a difference of two answers is not a number. Score both models' answers again.")
    if not len(sizes):
        return leveled(Difference(0.0, -1.0, 1.0, 1.0, 1.0, center=0.0, se=1.0, df=1.0))
    n, size = float(sizes.sum()), float(sizes.mean())
    differing = sums[sums != 0]
    extra = sqrt(float((differing**2).mean())) if len(differing) else size
    center = float(sums.sum()) / (n + 2 * size)
    residuals = np.append(sums - center * sizes, [extra - center * size, -extra - center * size])
    number = len(residuals)
    se = sqrt(number / (number - 1) * float((residuals**2).sum())) / (n + 2 * size)
    return leveled(
        Difference(
            value=float(sums.sum()) / n,
            low=-1.0,
            high=1.0,
            p=two_sided(center, se, df := max(len(sizes) - 1.0, 1.0)),
            detectable=1.0,
            center=center,
            se=se,
            df=df,
            growth=se**2 * (n + 2 * size) / (float(np.abs(differences).sum()) + 2 * extra),
        )
    )


def two_sided(center: float, se: float, df: float) -> float:
    return float(2 * stdtr(df, -abs(center) / se))


def leveled(found: Difference, alpha: float = ALPHA, power_alpha: float | None = None) -> Difference:
    """The difference with its interval at level 1 - alpha, and the gain detectable at power_alpha."""
    half = t_quantile(found.df, alpha) * found.se
    return replace(
        found,
        low=max(found.center - half, -1.0),
        high=min(found.center + half, 1.0),
        confidence=1 - alpha,
        detectable=detectable(found, power_alpha or alpha),
    )


def detectable(found: Difference, alpha: float) -> float:
    """The smallest gain that such a sample detects with 80% power in a test at alpha; 1 for too few
    scenarios.

    It comes from the noncentral t distribution. A gain d raises the share of differing queries by
    d / 4 + 0.7 d^2 (fitted to simulations), and to at least d. This share minus d^2 adds to the variance, in
    units of growth. The two scenarios added for smoothing shrink every gain and also add to the variance.
    """
    if found.df + 1 < FEWEST_SCENARIOS:
        return 1.0
    squared = float(nctdtrinc(found.df, 1 - POWER, t_quantile(found.df, alpha))) ** 2
    slope = squared * found.growth * MORE_DIFFER[0]
    curve = 1 + squared * (found.growth * (1 - MORE_DIFFER[1]) - 2 / (found.df + 3) ** 2)
    seen = (slope + sqrt(slope**2 + 4 * curve * squared * found.se**2)) / (2 * curve)
    if found.growth * (seen - MORE_DIFFER[0] * seen - MORE_DIFFER[1] * seen**2) > found.se**2:
        seen = squared * found.growth / (1 + squared * found.growth)
    return min(seen * (1 + 2 / (found.df + 1)), 1.0)


def expected_difference(n: int, scenarios: int, differing: float, design_effect: float) -> Difference:
    """The difference that two equal models would show on a sample, before it is measured.

    differing: share of queries on which exactly one of them is right.
    """
    growth = min(design_effect, n / scenarios) / n  # a scenario with one query has no clustering
    that_differ = scenarios * (1 - (1 - differing) ** (n / scenarios))
    smoothing = 1 + 2 / that_differ
    se = sqrt(growth * differing * smoothing) * scenarios / (scenarios + 2)
    df = max(scenarios - 1.0, 1.0)
    return leveled(Difference(0.0, -1.0, 1.0, 1.0, 1.0, center=0.0, se=se, df=df, growth=growth))


def compare_scores(base: Sequence[Score], variant: Sequence[Score], bucket: str) -> Difference:
    """Variant minus base on the same queries. Raises ValueError if the queries are not the same."""
    before, after = (
        {(score.example_id, score.box): score for score in scores if in_bucket(score.num_ops, bucket)}
        for scores in (base, variant)
    )
    if before.keys() != after.keys():
        raise ValueError("base and variant have different queries. Evaluate both on the same data set.")
    asked = sorted(before)
    return clustered_difference(
        [float(after[query].correct) - float(before[query].correct) for query in asked],
        [before[query].scenario_id for query in asked],
    )


def compare_counts(base: Accuracy, variant: Accuracy, design_effect: float = 1.0) -> Difference:
    """Variant minus base from counts alone: unpaired, under an assumed design effect."""
    return unpaired(scaled(base, 1 / design_effect), scaled(variant, 1 / design_effect))


def scaled(found: Accuracy, ratio: float) -> tuple[float, float]:
    """The right answers and n of a sample that is smaller by a ratio, with the same share."""
    return found.correct * ratio, found.n * ratio


def unpaired(base: tuple[float, float], variant: tuple[float, float], df: float = NORMAL) -> Difference:
    """Difference of two independent proportions. Each is (right, n); both numbers may be fractions.

    One right and one wrong answer are added to each side (Agresti & Caffo 2000). df: degrees of freedom.
    """
    (before, some), (after, others) = base, variant
    shares = (before + 1) / (some + 2), (after + 1) / (others + 2)
    se = sqrt(shares[0] * (1 - shares[0]) / (some + 2) + shares[1] * (1 - shares[1]) / (others + 2))
    value, center = after / max(others, 1) - before / max(some, 1), shares[1] - shares[0]
    return leveled(Difference(value, -1.0, 1.0, two_sided(center, se, df), 1.0, center=center, se=se, df=df))


def gates(accuracies: Mapping[str, Accuracy], baseline: Mapping[str, float]) -> dict[str, Gate]:
    """A model's accuracy against random guessing in each bucket that has both; Holm over its buckets."""
    buckets = [bucket for bucket in accuracies if bucket in baseline and accuracies[bucket].n]
    sizes = {bucket: effective(accuracies[bucket]) for bucket in buckets}
    p_values = [exact_p(accuracies[b].value, sizes[b], baseline[b]) for b in buckets]
    adjusted, alpha = holm(p_values)
    found = {}
    for bucket, p, p_adjusted in zip(buckets, p_values, adjusted, strict=True):
        guessing, share = baseline[bucket], accuracies[bucket].value
        low, high = exact_interval(share, sizes[bucket], alpha)
        found[bucket] = Gate(share - guessing, low - guessing, high - guessing, p, p_adjusted)
    return found


def effective(found: Accuracy) -> float:
    return effective_size(found.n, found.scenarios, found.design_effect)


def agreement_p(observed: Accuracy, published: Accuracy) -> float:
    """Two-sided p-value for a published proportion and one of ours being equal.

    Published counts do not show their design effect. We assume ours, because the task is the same.
    """
    ratio = effective(observed) / observed.n
    df = max(observed.scenarios - 1.0, 1.0)
    return unpaired(scaled(observed, ratio), scaled(published, ratio), df).p


def holm(p_values: Sequence[float], untested: int = 0) -> tuple[list[float], float]:
    """Adjusted p-values for a family of confirmatory tests (pairs of a hypothesis), and their interval level.

    untested: number of further tests in the family, each with p = 1. The level is that of the first step that
    does not reject. An interval at this level excludes zero exactly when the adjusted p is below ALPHA.
    """
    tests = len(p_values) + untested
    order = np.argsort(p_values)
    steps = np.arange(tests, untested, -1) * np.asarray(p_values, dtype=float)[order]
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    kept = tests - int((adjusted < ALPHA).sum())
    return adjusted.tolist(), ALPHA / max(kept, 1)


def benjamini_hochberg(p_values: Sequence[float]) -> tuple[list[float], float]:
    """Adjusted p-values for a family of exploratory tests (buckets of a pair), and their interval level.

    The level is ALPHA times the share of rejected tests (Benjamini & Yekutieli 2005).
    """
    tests = len(p_values)
    order = np.argsort(p_values)
    steps = np.asarray(p_values, dtype=float)[order] * tests / np.arange(1, tests + 1)
    adjusted = np.empty(tests)
    adjusted[order] = np.minimum(np.minimum.accumulate(steps[::-1])[::-1], 1)
    return adjusted.tolist(), ALPHA * max(int((adjusted < ALPHA).sum()), 1) / max(tests, 1)
