"""Verdicts on pairs -> Pooled: what the pairs of a hypothesis show together, by random effects.

Pairs that share a model are not independent. They enter as one group: their mean gain, with the mean of their
standard errors, which is the largest that their correlation can make it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import sqrt
from statistics import fmean

import numpy as np

from bench.proportions import t_quantile
from bench.records import Comparison, Conclusion, Pooled, Verdict
from bench.scoring.sentences import FROM_COUNTS, interval_clause, p_clause
from bench.scoring.stats import NORMAL, two_sided

Effect = tuple[float, float]  # gain, standard error


def pool_all(verdicts: Iterable[Verdict]) -> list[Pooled]:
    """Each hypothesis that has a pair at ops1plus; controls are no pairs of a hypothesis."""
    found: dict[str, list[Comparison]] = {}
    for verdict in verdicts:
        compared = verdict.comparison
        if compared.bucket == "ops1plus" and not compared.pair.control:
            found.setdefault(compared.pair.hypothesis, []).append(compared)
    return [pool(hypothesis, compared) for hypothesis, compared in found.items()]


def pool(hypothesis: str, compared: Sequence[Comparison]) -> Pooled:
    """The gain over all pairs; with one group that group's, of which no heterogeneity is known."""
    effects = [effect_of(group) for group in groups(compared)]
    if len(effects) == 1:
        [(value, se)] = effects
        df = compared[0].difference.df if len(compared) == 1 else NORMAL
        return conclude(hypothesis, compared, 1, value, se, df)
    value, se, tau, i_squared = random_effects(effects)
    return conclude(hypothesis, compared, len(effects), value, se, len(effects) - 1, tau, i_squared)


def groups(compared: Sequence[Comparison]) -> list[list[Comparison]]:
    """Pairs that are linked by models that they share."""
    found: list[list[Comparison]] = []
    for entry in compared:
        linked = [group for group in found if any(shares_a_model(entry, other) for other in group)]
        merged = [entry, *(other for group in linked for other in group)]
        found = [group for group in found if group not in linked] + [merged]
    return found


def shares_a_model(one: Comparison, other: Comparison) -> bool:
    return bool({one.pair.base, one.pair.variant} & {other.pair.base, other.pair.variant})


def effect_of(group: Sequence[Comparison]) -> Effect:
    return fmean(c.difference.value for c in group), fmean(c.difference.se for c in group)


def random_effects(effects: Sequence[Effect]) -> tuple[float, float, float, float]:
    """Mean, its standard error, tau and I squared: Paule & Mandel's tau, Hartung & Knapp's standard error.

    The latter is not let below the common one (Roever, Knapp & Friede 2015).
    """
    from statsmodels.stats.meta_analysis import combine_effects  # takes a second

    gains, errors = np.array(effects).T
    found = combine_effects(gains, errors**2, method_re="iterated")
    se = max(float(found.sd_eff_w_re_hksj), float(found.sd_eff_w_re))
    return float(found.mean_effect_re), se, sqrt(max(float(found.tau2), 0.0)), max(float(found.i2), 0.0)


def conclude(
    hypothesis: str,
    compared: Sequence[Comparison],
    independent: int,
    value: float,
    se: float,
    df: float,
    tau: float | None = None,
    i_squared: float | None = None,
) -> Pooled:
    """The interval, and what it says of the hypothesis."""
    half = t_quantile(df) * se
    low, high, p = value - half, value + half, two_sided(value, se, df)
    outcome: Conclusion = "supported" if low > 0 else "contradicted" if high < 0 else "open"
    pairs = f"{len(compared)} pair{'s' * (len(compared) > 1)}"
    shared = f" in {independent} independent groups" if 1 < independent < len(compared) else ""
    spread = (
        "one independent group, so nothing is known of other models"
        if tau is None or i_squared is None
        else f"between them the gain has a standard deviation of {100 * tau:.1f} points, I² {i_squared:.0%}"
    )
    caveat = "" if all(entry.paired for entry in compared) else f"; {FROM_COUNTS}"
    sentence = (
        f"{outcome}: over {pairs}{shared} the gain is {100 * value:+.1f} points "
        f"({interval_clause(low, high)}, {p_clause(p)}); {spread}{caveat}."
    )
    return Pooled(
        hypothesis, outcome, sentence, value, low, high, p, len(compared), independent, tau, i_squared
    )
