"""Scores of a pair -> comparisons -> verdicts: the finding, and whether it fails a case.

A pair is tested on all queries with one or more operations (ops1plus, Holm over the pairs of its hypothesis).
The buckets ops1..ops7 are exploratory (Benjamini-Hochberg within the pair). ops0 and controls are not
adjusted. The comparison with random guessing is a separate finding.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from bench.proportions import ALPHA
from bench.records import (
    BUCKETS,
    Accuracy,
    Case,
    Comparison,
    Difference,
    Evaluation,
    Gate,
    Outcome,
    Pair,
    Suite,
    Verdict,
)
from bench.scoring import stats
from bench.scoring.sentences import equals, name_bucket, points, sentence_of

EXPLORED = BUCKETS[1:-1]
ASSUMED_DESIGN_EFFECTS = (1.4, 2.0)  # for published counts; the embedded models have 1.4


def compare(
    pair: Pair,
    base: Evaluation,
    variant: Evaluation,
    accuracies: tuple[Mapping[str, Accuracy], Mapping[str, Accuracy]],
    baseline: Mapping[str, float],
) -> list[Comparison]:
    """Compare a pair on every bucket with queries, adjusted over its buckets.

    accuracies: base and variant, by bucket with queries. baseline: accuracy of random guessing by bucket.
    """
    differences = {
        bucket: stats.compare_scores(base.scores, variant.scores, bucket) for bucket in accuracies[0]
    }
    return compared(pair, accuracies, baseline, differences)


def compare_recorded(
    pair: Pair,
    base: Mapping[str, Accuracy],
    variant: Mapping[str, Accuracy],
    baseline: Mapping[str, float],
    design_effect: float = 1.0,
) -> list[Comparison]:
    """Compare a pair from its accuracies alone (published figures): unpaired, and labelled as unpaired."""
    buckets = [bucket for bucket in BUCKETS if bucket in base and bucket in variant and bucket in baseline]
    differences = {b: stats.compare_counts(base[b], variant[b], design_effect) for b in buckets}
    return compared(pair, (base, variant), baseline, differences)


def compared(
    pair: Pair,
    accuracies: tuple[Mapping[str, Accuracy], Mapping[str, Accuracy]],
    baseline: Mapping[str, float],
    differences: Mapping[str, Difference],
) -> list[Comparison]:
    """Differences -> comparisons, adjusted over the buckets but not over other pairs."""
    base, variant = accuracies
    over = [stats.gates(found, baseline) for found in accuracies]
    return adjust_over_buckets(
        [
            Comparison(
                pair,
                bucket,
                base[bucket],
                variant[bucket],
                baseline=baseline[bucket],
                difference=difference,
                base_over_random=over[0][bucket],
                variant_over_random=over[1][bucket],
                p_adjusted=difference.p,
                tests=1,
                scenarios=base[bucket].scenarios,
                paired=base[bucket].scenarios > 0,
            )
            for bucket, difference in differences.items()
        ]
    )


def adjust_over_buckets(found: Sequence[Comparison]) -> list[Comparison]:
    """Benjamini-Hochberg over ops1..ops7. ops0 and ops1plus are not part of this family."""
    explored = [entry for entry in found if entry.bucket in EXPLORED]
    p_adjusted, alpha = stats.benjamini_hochberg([entry.difference.p for entry in explored])
    adjusted = iter(with_adjusted(explored, p_adjusted, alpha, len(explored)))
    return [next(adjusted) if entry.bucket in EXPLORED else entry for entry in found]


def adjust_over_pairs(pairs: Sequence[Sequence[Comparison]], untested: int = 0) -> list[list[Comparison]]:
    """Holm over the pairs of one hypothesis, on ops1plus.

    untested: number of pairs of the family that could not be measured; each counts as p = 1.
    """
    tested = [entry for found in pairs for entry in found if entry.bucket == "ops1plus"]
    p_adjusted, alpha = stats.holm([entry.difference.p for entry in tested], untested)
    adjusted = iter(with_adjusted(tested, p_adjusted, alpha, len(tested) + untested))
    return [[next(adjusted) if entry.bucket == "ops1plus" else entry for entry in found] for found in pairs]


def with_adjusted(
    found: Sequence[Comparison], p_adjusted: Sequence[float], alpha: float, tests: int
) -> list[Comparison]:
    """The comparisons with adjusted p-values, and with intervals at the adjusted level."""
    return [
        replace(
            entry,
            p_adjusted=p,
            tests=tests,
            difference=stats.leveled(entry.difference, alpha, power_alpha=ALPHA / tests),
        )
        for entry, p in zip(found, p_adjusted, strict=True)
    ]


def judge_recorded(suite: Suite, baseline: Mapping[str, float]) -> list[Verdict]:
    """The verdicts on a suite's recorded figures, for every pair and bucket that has them.

    baseline: accuracy of random guessing, used if the suite records none.
    """
    known = [pair for pair in suite.pairs if {pair.base, pair.variant} <= suite.recorded.keys()]
    return [verdict for family in families(known) for verdict in judge_family(suite, family, baseline)]


def judge_family(suite: Suite, family: Sequence[Pair], baseline: Mapping[str, float]) -> list[Verdict]:
    """Judge recorded figures as they are, and under assumed design effects: counts do not show clustering."""
    recorded, guessing = suite.recorded, suite.recorded_baseline or baseline
    plain, *assumed = (
        [
            judge(entry)
            for entries in adjust_over_pairs(
                [
                    compare_recorded(pair, recorded[pair.base], recorded[pair.variant], guessing, effect)
                    for pair in family
                ]
            )
            for entry in entries
        ]
        for effect in (1.0, *ASSUMED_DESIGN_EFFECTS)
    )
    return [
        with_sensitivity(verdict, [other.outcome for other in others])
        for verdict, *others in zip(plain, *assumed, strict=True)
    ]


def with_sensitivity(verdict: Verdict, outcomes: Sequence[Outcome]) -> Verdict:
    """The verdict with its outcomes under ASSUMED_DESIGN_EFFECTS, which its text names."""
    found = tuple(zip(ASSUMED_DESIGN_EFFECTS, outcomes, strict=True))
    said = ""
    for outcome in dict.fromkeys(outcomes):
        finding = "holds" if outcome == verdict.outcome else f"becomes {outcome!r}"
        effects = " and ".join(f"of {effect:g}" for effect, other in found if other == outcome)
        said += f" The finding {finding} under a design effect {effects}."
    return replace(verdict, sentence=verdict.sentence + said, if_clustered=found)


def families(pairs: Iterable[Pair]) -> list[list[Pair]]:
    """Pairs whose main tests are adjusted together: the pairs of one hypothesis. A control is alone."""
    found: dict[object, list[Pair]] = {}
    for pair in pairs:
        found.setdefault(pair if pair.control else pair.hypothesis, []).append(pair)
    return list(found.values())


def judge(found: Comparison, cases: int = 1) -> Verdict:
    """The finding of a comparison. cases: number of cases in the run that can fail like this one."""
    outcome = outcome_of(found)
    case = case_of(found, outcome, cases)
    return Verdict(outcome, f"{outcome}: {sentence_of(found, outcome, case)}", found, case)


def outcome_of(found: Comparison) -> Outcome:
    """The outcome, from the interval alone, so that outcome and interval always agree."""
    difference = found.difference
    if found.paired and found.scenarios < stats.FEWEST_SCENARIOS:
        return "too few scenarios"
    if difference.low > 0 or difference.high < 0:
        return "better" if difference.low > 0 else "worse"
    if difference.low > -stats.MARGIN and difference.high < stats.MARGIN:
        return "equivalent"
    return "no difference shown"


def case_of(found: Comparison, outcome: Outcome, cases: int) -> Case:
    """The result of a case, the same in pytest and in every report.

    A case passes if the variant is better, and above guessing unless it is a control. It fails if the variant
    is worse, also after adjustment over all cases that can fail (Bonferroni). So at most 5% of runs fail by
    chance, whatever their number of cases. A positive control fails if it shows no gain at ops1plus.
    """
    if found.pair.control == "negative":
        return negative_case_of(found, outcome, cases)
    if outcome == "better":
        above = found.variant_over_random.standing == "above"
        return "passes" if above or found.pair.control else "open"
    missed = found.pair.control == "positive" and found.bucket == "ops1plus"
    if missed and outcome != "too few scenarios":
        return "fails"
    return "fails" if outcome == "worse" and holds_over(found, cases) else "open"


def negative_case_of(found: Comparison, outcome: Outcome, cases: int) -> Case:
    """The result of a negative control. It claims that its training does not help, so a loss passes.

    Without operations there is nothing to track, so a gain at ops0 leaves the case open.
    """
    if outcome == "better":
        return "fails" if found.bucket != "ops0" and holds_over(found, cases) else "open"
    return "open" if outcome == "too few scenarios" else "passes"


def holds_over(found: Comparison, cases: int) -> bool:
    """Whether a difference is significant over this number of tests."""
    return found.difference.p * cases < ALPHA


def judge_over_random(
    model: str, bucket: str, observed: Accuracy, gate: Gate, cases: int = 1
) -> tuple[bool | None, str]:
    """Whether a model is above random guessing (None: not shown), and the figures in one sentence.

    cases: number of cases in the run that can fail like this one. "below" must hold over all of them.
    """
    side = "above" if gate.value >= 0 else "below"
    above = {"above": True, "below": False if gate.p * cases < ALPHA else None}.get(gate.standing)
    return above, (
        f"{gate.standing} guessing: {model} is right on {observed.value:.1%} of {name_bucket(bucket)}, "
        f"{points(abs(gate.value))} {side} random guessing "
        f"(interval {100 * gate.low:+.1f} to {100 * gate.high:+.1f}, "
        f"{equals('p adjusted over the buckets of the model', gate.p_adjusted)}, "
        f"n = {observed.n} in {observed.scenarios} scenarios)."
    )
