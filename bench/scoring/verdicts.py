"""Scores of a pair -> comparisons -> verdicts.

A pair is tested once, on all queries with one or more operations (ops1plus, Holm over the pairs of its
hypothesis). The buckets ops1..ops7 are exploratory (Benjamini-Hochberg within the pair), ops0 a control.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from bench.records import (
    BUCKETS,
    Accuracy,
    Comparison,
    Difference,
    Evaluation,
    Outcome,
    Pair,
    Suite,
    Verdict,
    in_bucket,
)
from bench.scoring.stats import (
    ALPHA,
    accuracy_of,
    benjamini_hochberg,
    compare_counts,
    compare_scores,
    counts_over,
    equivalent,
    holm,
)

MARGIN = 0.03  # differences below three points are taken for none


def compare(
    pair: Pair,
    base: Evaluation,
    variant: Evaluation,
    over_random: tuple[Mapping[str, Difference], Mapping[str, Difference]],
    baseline: Mapping[str, float],
) -> list[Comparison]:
    """A pair on every bucket that has queries, adjusted over its buckets.

    over_random: of base and variant, by bucket that has queries. baseline: random guessing, by bucket.
    """
    found = []
    for bucket in over_random[0]:
        accuracies = [accuracy_of(evaluation.scores, bucket) for evaluation in (base, variant)]
        margins = [over[bucket] for over in over_random]
        difference = compare_scores(base.scores, variant.scores, bucket)
        scenarios = {score.scenario_id for score in base.scores if in_bucket(score.num_ops, bucket)}
        figures = (accuracies, baseline[bucket], margins, difference)
        found.append(comparison(pair, bucket, *figures, scenarios=len(scenarios)))
    return adjust_over_buckets(found)


def compare_recorded(
    pair: Pair,
    base: Mapping[str, Accuracy],
    variant: Mapping[str, Accuracy],
    baseline: Mapping[str, float],
) -> list[Comparison]:
    """The same from accuracies alone (published figures): unpaired, unclustered, and labelled so."""
    found = []
    for bucket in BUCKETS:
        if bucket in base and bucket in variant and bucket in baseline:
            accuracies = [base[bucket], variant[bucket]]
            margins = [counts_over(observed, baseline[bucket]) for observed in accuracies]
            figures = (accuracies, baseline[bucket], margins, compare_counts(*accuracies))
            found.append(comparison(pair, bucket, *figures, scenarios=0))
    return adjust_over_buckets(found)


def comparison(
    pair: Pair,
    bucket: str,
    accuracies: Sequence[Accuracy],
    baseline: float,
    margins: Sequence[Difference],
    difference: Difference,
    scenarios: int,
) -> Comparison:
    """Not yet adjusted for other tests; no scenarios means that only counts are known."""
    base, variant = accuracies
    return Comparison(
        pair,
        bucket,
        base,
        variant,
        baseline=baseline,
        difference=difference,
        base_over_random=margins[0],
        variant_over_random=margins[1],
        p_adjusted=difference.p,
        p_below_adjusted=difference.p_below,
        scenarios=scenarios,
        paired=scenarios > 0,
    )


def adjust_over_buckets(found: Sequence[Comparison]) -> list[Comparison]:
    """Benjamini-Hochberg over ops1..ops7; ops0 and ops1plus are not of that family."""
    explored = [entry for entry in found if entry.bucket not in ("ops0", "ops1plus")]
    adjusted = {entry.bucket: entry for entry in with_adjusted(explored, benjamini_hochberg)}
    return [adjusted.get(entry.bucket, entry) for entry in found]


def adjust_over_pairs(pairs: Sequence[Sequence[Comparison]], untested: int = 0) -> list[list[Comparison]]:
    """Holm over the pairs of one hypothesis, on ops1plus.

    untested: pairs of the family that could not be measured; they count as p = 1.
    """
    tested = [entry for found in pairs for entry in found if entry.bucket == "ops1plus"]
    adjusted = {
        entry.pair.id: entry
        for entry in with_adjusted(tested, lambda p: holm([*p, *[1.0] * untested])[: len(p)])
    }
    return [
        [adjusted[entry.pair.id] if entry.bucket == "ops1plus" else entry for entry in found]
        for found in pairs
    ]


def with_adjusted(found, adjust) -> list[Comparison]:
    """The comparisons with both one-sided p values adjusted over all of them."""
    above = adjust([entry.difference.p for entry in found])
    below = adjust([entry.difference.p_below for entry in found])
    return [
        replace(entry, p_adjusted=p, p_below_adjusted=p_below)
        for entry, p, p_below in zip(found, above, below, strict=True)
    ]


def judge_recorded(suite: Suite, baseline: Mapping[str, float]) -> list[Verdict]:
    """The verdicts of a suite's recorded figures, on every pair and bucket that has them.

    baseline: random guessing, where the suite records none of its own.
    """
    known = [pair for pair in suite.pairs if {pair.base, pair.variant} <= suite.recorded.keys()]
    verdicts = []
    for family in families(known):
        compared = [
            compare_recorded(
                pair,
                suite.recorded[pair.base],
                suite.recorded[pair.variant],
                suite.recorded_baseline or baseline,
            )
            for pair in family
        ]
        verdicts += [judge(entry) for entries in adjust_over_pairs(compared) for entry in entries]
    return verdicts


def families(pairs: Iterable[Pair]) -> list[list[Pair]]:
    """Pairs whose main tests are adjusted together: those of one hypothesis; a control is by itself."""
    found: dict[object, list[Pair]] = {}
    for pair in pairs:
        found.setdefault(pair if pair.control else pair.hypothesis, []).append(pair)
    return list(found.values())


def judge(found: Comparison) -> Verdict:
    """What the comparison means for the hypothesis that the variant tracks entities better."""
    outcome = outcome_of(found)
    return Verdict(outcome, f"{outcome}: {describe(found)}{remark(found, outcome)}.", found)


def outcome_of(found: Comparison) -> Outcome:
    """Controls are judged by their difference alone: they check whether the tests see a gain."""
    above_random = beats_random(found.base_over_random) or beats_random(found.variant_over_random)
    if not above_random and not found.pair.control:
        return "below baseline"
    if found.p_adjusted < ALPHA:
        return "supported"
    return "contradicted" if found.p_below_adjusted < ALPHA else "inconclusive"


def beats_random(over_random: Difference) -> bool:
    return over_random.p < ALPHA


def describe(found: Comparison) -> str:
    """The figures in one clause."""
    difference, pair = found.difference, found.pair
    above = difference.value >= 0
    p = found.p_adjusted if above else found.p_below_adjusted
    return (
        f"{pair.variant} is {points(abs(difference.value))} {'above' if above else 'below'} {pair.base} "
        f"on {name_bucket(found.bucket)} ({found.variant.value:.1%} against {found.base.value:.1%}, "
        f"random {found.baseline:.1%}, n = {found.base.n}; 95% interval {100 * difference.low:+.1f} to "
        f"{100 * difference.high:+.1f}, adjusted p = {p:.2g}"
        f"{'' if found.paired else ', from counts'})"
    )


def points(difference: float) -> str:
    return f"{100 * difference:.1f} points"


def remark(found: Comparison, outcome: Outcome) -> str:
    if outcome == "below baseline":
        return ", but neither is shown to beat random guessing"
    if outcome != "inconclusive":
        return ""
    if equivalent(found.difference, MARGIN):
        return f"; the two agree within {points(MARGIN)}"
    return f"; this sample would show a difference of {points(found.difference.detectable)}"


def judge_over_random(model: str, bucket: str, observed: Accuracy, margin: Difference) -> tuple[Outcome, str]:
    """Whether a model beats random guessing on a bucket, and the figures in one sentence."""
    outcome: Outcome = "inconclusive"
    if beats_random(margin):
        outcome = "supported"
    elif margin.p_below < ALPHA:
        outcome = "contradicted"
    side = "above" if margin.value >= 0 else "below"
    return outcome, (
        f"{outcome}: {model} is right on {observed.value:.1%} of {name_bucket(bucket)}, "
        f"{points(abs(margin.value))} {side} random guessing (n = {observed.n}; 95% interval "
        f"{100 * margin.low:+.1f} to {100 * margin.high:+.1f})."
    )


def name_bucket(bucket: str) -> str:
    """ "ops3" -> "queries with 3 operations"."""
    number = bucket.removeprefix("ops").replace("1plus", "1 or more")
    return f"queries with {number} operation{'' if number == '1' else 's'}"


def fails(verdict: Verdict) -> bool:
    """Whether the case fails: contradicted; for a control, not coming out as it must on ops1plus."""
    control, outcome = verdict.comparison.pair.control, verdict.outcome
    if control == "negative":
        return outcome == "supported"
    if control == "positive" and verdict.comparison.bucket == "ops1plus":
        return outcome != "supported"
    return outcome == "contradicted"
