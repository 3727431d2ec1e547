"""Verdicts on pairs -> Pooled: the gain over all pairs of a hypothesis, in a random-effects model.

Pairs that share a model are not independent. They enter as one group with their mean gain. Its standard error
accounts for the shared model's part of each variance (multi-arm trials, Gleser & Olkin 2009).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from math import sqrt
from statistics import fmean

import numpy as np

from bench.proportions import t_quantile
from bench.records import Accuracy, Comparison, Conclusion, Pooled, Verdict
from bench.scoring.sentences import FROM_COUNTS, interval_clause, p_clause
from bench.scoring.stats import NORMAL, two_sided
from bench.text import counted

Effect = tuple[float, float]  # gain, standard error
Test = tuple[float, float]  # standard error, degrees of freedom


def pool_all(verdicts: Iterable[Verdict]) -> list[Pooled]:
    """Pool each hypothesis that has a pair at ops1plus. Controls are not pooled."""
    found: dict[str, list[Comparison]] = {}
    for verdict in verdicts:
        compared = verdict.comparison
        if compared.bucket == "ops1plus" and not compared.pair.control:
            found.setdefault(compared.pair.hypothesis, []).append(compared)
    return [pool(hypothesis, compared) for hypothesis, compared in found.items()]


def pool(hypothesis: str, compared: Sequence[Comparison]) -> Pooled:
    """The gain over all pairs, with the wider interval and the larger p of its tests.

    One group alone has no known heterogeneity.
    """
    effects = [effect_of(group) for group in groups(compared)]
    if len(effects) == 1:
        [(value, se)] = effects
        tests, tau, i_squared = [(se, min(entry.difference.df for entry in compared))], None, None
        spread = "This is one independent group, so nothing is known about other models"
    else:
        value, tests, tau, i_squared = random_effects(effects)
        spread = (
            f"Between them the gain has a standard deviation of {100 * tau:.1f} points (I² {i_squared:.0%})"
        )
    half = max(t_quantile(df) * se for se, df in tests)
    low, high, p = value - half, value + half, max(two_sided(value, se, df) for se, df in tests)
    outcome: Conclusion = "supported" if low > 0 else "contradicted" if high < 0 else "open"
    several = 1 < len(effects) < len(compared)
    sample = counted(len(compared), "pair") + f" in {len(effects)} independent groups" * several
    caveat = "" if all(entry.paired for entry in compared) else f", {FROM_COUNTS}"
    sentence = (
        f"{outcome}: over {sample} the gain is {100 * value:+.1f} points "
        f"({interval_clause(low, high)}, {p_clause(p)}{caveat}). {spread}."
    )
    return Pooled(
        hypothesis, outcome, sentence, value, low, high, p, len(compared), len(effects), tau, i_squared
    )


def groups(compared: Sequence[Comparison]) -> list[list[Comparison]]:
    """Pairs that are linked by shared models."""
    found: list[list[Comparison]] = []
    for entry in compared:
        linked = [group for group in found if any(shares_a_model(entry, other) for other in group)]
        merged = [entry, *(other for group in linked for other in group)]
        found = [group for group in found if group not in linked] + [merged]
    return found


def shares_a_model(one: Comparison, other: Comparison) -> bool:
    return bool({one.pair.base, one.pair.variant} & {other.pair.base, other.pair.variant})


def effect_of(group: Sequence[Comparison]) -> Effect:
    """Mean gain and its standard error."""
    variance = sum(
        correlation(one, other) * one.difference.se * other.difference.se
        for one, other in product(group, repeat=2)
    )
    return fmean(c.difference.value for c in group), sqrt(variance) / len(group)


def correlation(one: Comparison, other: Comparison) -> float:
    """The correlation of two gains that share a model; negative between successive steps; 0 otherwise."""
    if one.pair == other.pair:
        return 1.0
    for mine, theirs in product(roles(one), roles(other)):
        (name, sign, common, rest), (other_name, other_sign, _, other_rest) = mine, theirs
        if name == other_name:
            return sign * other_sign * common / sqrt((common + rest) * (common + other_rest))
    return 0.0


def roles(found: Comparison) -> list[tuple[str, int, float, float]]:
    """For each model: its name, its sign in the gain, its own variance, and the other model's variance."""
    base, variant = variance_of(found.base), variance_of(found.variant)
    return [(found.pair.base, -1, base, variant), (found.pair.variant, 1, variant, base)]


def variance_of(found: Accuracy) -> float:
    share = (found.correct + 1) / (found.n + 2)
    return share * (1 - share) * found.design_effect / max(found.n, 1)


def random_effects(effects: Sequence[Effect]) -> tuple[float, list[Test], float, float]:
    """Mean, its tests, tau and I squared, with Paule & Mandel's tau.

    The tests are Hartung & Knapp's and the normal one. The first is too narrow if gains happen to be alike.
    So the wider interval counts (Jackson et al. 2017, doi:10.1002/sim.7411, "hybrid").
    """
    from statsmodels.stats.meta_analysis import combine_effects  # takes a second

    gains, errors = np.array(effects).T
    with np.errstate(divide="ignore"):  # I squared divides by zero if all gains are equal
        found = combine_effects(gains, errors**2, method_re="iterated")
    tests = [(float(found.sd_eff_w_re_hksj), len(effects) - 1.0), (float(found.sd_eff_w_re), NORMAL)]
    return float(found.mean_effect_re), tests, sqrt(max(float(found.tau2), 0.0)), max(float(found.i2), 0.0)
