"""Measures on answers with known truth: how often findings are wrong, and intervals right.

A measure draws answers once (worlds.py) and judges them with the code that judges runs. It yields lines of
the table, each with a flag that is True if the event occurred.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import pairwise, product

import numpy as np

from bench.models.suites import load_suite
from bench.proportions import ALPHA
from bench.records import BUCKETS, Accuracy, Comparison, Difference, Gate, Pair, Pooled, Verdict
from bench.run.plans import limited
from bench.scoring.pooling import pool
from bench.scoring.scores import cost_of
from bench.scoring.stats import agreement_p, gates, leveled
from bench.scoring.verdicts import (
    ASSUMED_DESIGN_EFFECTS,
    EXPLORED,
    adjust_over_pairs,
    compare_recorded,
    judge,
    judge_over_random,
)
from bench.simulation.worlds import CLUSTERINGS, Answers, Clustering, World
from bench.task.examples import evaluation_set
from bench.task.probes import NUM_PAIRS, MinimalPair, minimal_pairs

MAIN = "ops1plus"
SIZES = {"716 examples": None, "limit 100": 100, "limit 50": 50, "limit 20": 20}
ACCURACIES = (0.9, 0.35, 0.33, 0.3, 0.3, 0.28, 0.27, 0.25)  # of a model, at 0 to 7 operations
CORRELATIONS = (0.0, 0.5, 0.9)  # between two models, of the variable that decides whether they are right
ONE, FIVE, TEN = ([Pair("code", "base", f"variant{n}") for n in range(size)] for size in (1, 5, 10))

Found = Iterator[tuple[str, bool]]  # results of a repetition: a line of the table, and whether it occurred


@cache
def world(size: str = "716 examples", buckets: Sequence[str] = BUCKETS) -> World:
    return World(limited(evaluation_set(), SIZES[size]), buckets)


@cache
def probe() -> tuple[World, list[MinimalPair]]:
    """The examples of a probe, alternately with and without the critical sentence."""
    pairs = list(minimal_pairs("noop-remove", 0, NUM_PAIRS["evaluation"]))
    return World([example for pair in pairs for example in (pair.critical, pair.control)]), pairs


def raised(gain: float, buckets: Sequence[str] = EXPLORED) -> list[float]:
    """ACCURACIES with a gain in some buckets."""
    return [
        min(share + gain, 0.995) if bucket in buckets else share
        for bucket, share in zip(BUCKETS[:-1], ACCURACIES, strict=True)
    ]


def decided(verdict: Verdict) -> bool:
    return verdict.outcome in ("better", "worse")


def family(
    place: World, pairs: Sequence[Pair], answers: Sequence[Answers], base: Answers
) -> list[list[Comparison]]:
    """Pairs that share a base, adjusted together."""
    found = [place.compare(pair, base, variant) for pair, variant in zip(pairs, answers, strict=True)]
    return adjust_over_pairs(found)


def main_of(found: Sequence[Comparison]) -> Comparison:
    return next(entry for entry in found if entry.bucket == MAIN)


def null_pairs(rng: np.random.Generator) -> Found:
    """Two models with equal accuracy. No difference should be found, and intervals should contain zero."""
    for size, (name, clustering) in product(("716 examples", "limit 100", "limit 50"), CLUSTERINGS.items()):
        base, variant = world(size).answers(rng, clustering, [ACCURACIES] * 2)
        [found] = family(world(size), ONE, [variant], base)
        better_or_worse = {entry.bucket: decided(judge(entry)) for entry in found}
        some = any(better_or_worse.get(bucket) for bucket in EXPLORED)
        yield f"null pair, better or worse at 1+ | {size}, {name}", better_or_worse[MAIN]
        yield f"null pair, any of buckets 1 to 7 | {size}, {name}", some
        if size == "716 examples":
            yield from covered("null pair", name, found, {e.bucket: 0.0 for e in found})


def gains(rng: np.random.Generator) -> Found:
    """A gain of ten points in every bucket. Intervals should contain it."""
    place = world()
    variant_is = [min(share + 0.1, 0.99) for share in ACCURACIES]
    before, after = place.shares(ACCURACIES), place.shares(variant_is)
    for name, clustering in CLUSTERINGS.items():
        base, variant = place.answers(rng, clustering, [ACCURACIES, variant_is])
        [found] = family(place, ONE, [variant], base)
        yield from covered("gain of 10", name, found, {b: after[b] - before[b] for b in before})
        measured = place.measure(base)
        over = gates(measured, place.baseline)
        for bucket, share in before.items():
            cell, above = f"{cell_of(bucket)} | {name}", share - place.baseline[bucket]
            yield f"95% interval of an accuracy covers, {cell}", covers(measured[bucket], share)
            yield f"adjusted interval above guessing covers, {cell}", covers(over[bucket], above)


def covered(kind: str, name: str, found: Sequence[Comparison], truth: Mapping[str, float]) -> Found:
    for entry in found:
        cell, share = f"{cell_of(entry.bucket)} | {kind}, {name}", truth[entry.bucket]
        plain = leveled(entry.difference)  # the 95% interval, before any adjustment
        yield f"95% interval of a difference covers, {cell}", covers(plain, share)
        if entry.tests > 1:
            yield f"adjusted interval of a difference covers, {cell}", covers(entry.difference, share)


def cell_of(bucket: str) -> str:
    return "1+" if bucket == MAIN else f"bucket {bucket[3:]}"


def covers(found: Accuracy | Difference | Gate | Pooled, truth: float) -> bool:
    return found.low <= truth <= found.high


def families(rng: np.random.Generator) -> Found:
    """Five and ten null pairs that share a base."""
    for pairs, (name, clustering) in product((FIVE, TEN), CLUSTERINGS.items()):
        base, *variants = world().answers(rng, clustering, [ACCURACIES] * (len(pairs) + 1))
        tested = [main_of(found) for found in family(world(), pairs, variants, base)]
        cell = f"{len(pairs)} pairs, {name}"
        yield f"null family, any better or worse at 1+ | {cell}", any(decided(judge(e)) for e in tested)


def mixed_families(rng: np.random.Generator) -> Found:
    """Five and ten pairs that share a base. One of them has a gain of ten points."""
    line = "adjusted interval of a difference covers, 1+"
    for pairs, (name, clustering) in product((FIVE, TEN), CLUSTERINGS.items()):
        place, cell = world(buckets=(MAIN,)), f"{len(pairs)} pairs, {name}"
        tested = family(place, pairs, *with_gain(rng, clustering, len(pairs), EXPLORED, 0.1))
        gain, other, *_ = (main_of(found).difference for found in tested)
        yield f"{line} | gain of 10, {cell}", covers(gain, 0.1)
        yield f"{line} | no gain beside it, {cell}", covers(other, 0.0)


def pooled(rng: np.random.Generator) -> Found:
    """A hypothesis whose pairs gain ten points on average. The pooled interval should contain this gain."""
    for name, clustering in CLUSTERINGS.items():
        for pairs, spread in ((3, 0.05), (5, 0.0), (5, 0.05)):
            gains = rng.normal(0.1, spread, pairs)
            models = [model for gain in gains for model in (ACCURACIES, raised(gain))]
            said = f"gains vary by {100 * spread:.0f}" if spread else "equal gains"
            places = [(number, number + 1) for number in range(0, 2 * pairs, 2)]
            yield from pooled_covers(rng, clustering, models, places, f"{pairs} pairs, {said}, {name}")
        models, places = [ACCURACIES, *[raised(0.1)] * 5], [(0, number) for number in range(1, 6)]
        yield from pooled_covers(rng, clustering, models, places, f"5 pairs of one base, {name}")
        models, places = [raised(0.1 * step) for step in range(4)], list(pairwise(range(4)))
        yield from pooled_covers(rng, clustering, models, places, f"3 steps of a chain, {name}")


def pooled_covers(
    rng: np.random.Generator,
    clustering: Clustering,
    models: Sequence[Sequence[float]],
    places: Sequence[tuple[int, int]],
    cell: str,
) -> Found:
    """Whether pooled intervals contain the gain, paired and from counts. places: base, variant of a pair."""
    place = world(buckets=(MAIN,))
    answers = place.answers(rng, clustering, models)
    measured = [place.measure(found) for found in answers]
    paired, counted = [], []
    for before, after in places:
        pair = Pair("code", f"model{before}", f"model{after}")
        paired.append(main_of(place.compare(pair, answers[before], answers[after])))
        counted.append(main_of(compare_recorded(pair, measured[before], measured[after], place.baseline)))
    yield f"95% interval of a pooled gain covers | {cell}", covers(pool("code", paired), 0.1)
    yield f"95% interval of a pooled gain covers, from counts | {cell}", covers(pool("code", counted), 0.1)


def probes(rng: np.random.Generator) -> Found:
    """A critical sentence with no cost, and one with a cost of ten points. The interval should contain it."""
    place, pairs = probe()
    with_sentence = place.example % 2 == 0
    for name, clustering in CLUSTERINGS.items():
        before, after = place.answers(rng, clustering, [ACCURACIES, raised(-0.1, BUCKETS)])
        for said, answers, truth in (
            ("no cost", before, 0.0),
            ("cost of 10", np.where(with_sentence, after, before), -0.1),
        ):
            for kind, cost in cost_of(place.scores(answers), pairs).items():
                cell = f"{kind} | {said}, {name}"
                yield f"95% interval of a probe's difference covers, {cell}", covers(cost.difference, truth)


def power(rng: np.random.Generator) -> Found:
    """A gain equal to the difference that a null pair prints as detectable with 80% power."""
    place = world()
    for name, clustering in CLUSTERINGS.items():
        for pairs in (ONE, FIVE, TEN):
            base, *variants = place.answers(rng, clustering, [ACCURACIES] * (len(pairs) + 1))
            printed = main_of(family(place, pairs, variants, base)[0]).difference.detectable
            found = family(place, pairs, *with_gain(rng, clustering, len(pairs), EXPLORED, printed))
            better = judge(main_of(found[0])).outcome == "better"
            yield f"power at the printed difference, 1+ | {len(pairs)} pairs, {name}", better
        base, variant = place.answers(rng, clustering, [ACCURACIES] * 2)
        for entry in place.compare(ONE[0], base, variant):
            if entry.bucket not in ("ops0", MAIN):
                gained, before = with_gain(rng, clustering, 1, [entry.bucket], entry.difference.detectable)
                again = place.compare(ONE[0], before, gained[0])
                better = next(judge(e).outcome == "better" for e in again if e.bucket == entry.bucket)
                yield f"power at the printed difference, bucket {entry.bucket[3:]} | {name}", better


def with_gain(
    rng: np.random.Generator, clustering: Clustering, variants: int, buckets: Sequence[str], gain: float
) -> tuple[list[Answers], Answers]:
    """Variants and their base. The first variant has the gain in some buckets."""
    models = [ACCURACIES, raised(gain, buckets), *[ACCURACIES] * (variants - 1)]
    base, *found = world().answers(rng, clustering, models)
    return found, base


def guessers(rng: np.random.Generator) -> Found:
    """A guessing model, at several limits."""
    for size in SIZES:
        place = world(size)
        found = gates(place.measure(place.guesses(rng)), place.baseline)
        for bucket, gate in found.items():
            alone = gate.p < ALPHA
            cell = f"{bucket.removeprefix('ops').replace('1plus', '1+')} | {size}"
            yield f"guesser below guessing, alone, {cell}", alone and gate.value < 0
            yield f"guesser above guessing, alone, {cell}", alone and gate.value > 0
        for side in ("below", "above"):
            some = any(gate.standing == side for gate in found.values())
            yield f"guesser {side} guessing in some bucket | {size}", some


def runs(rng: np.random.Generator) -> Found:
    """A run of the embedded suite in which training changes nothing. No case should fail."""
    place, suite = world(), load_suite("embedded")
    cases = len(BUCKETS) * (len(suite.pairs) + len(suite.models))
    for name, clustering in CLUSTERINGS.items():
        answers = dict(
            zip(suite.models, place.answers(rng, clustering, [ACCURACIES] * len(suite.models)), strict=True)
        )
        failing = [
            judge(entry, cases).case == "fails"
            for pair in suite.pairs
            for entry in place.compare(pair, answers[pair.base], answers[pair.variant])
            if not (pair.control == "positive" and entry.bucket == MAIN)  # there is no gain here
        ]
        yield f"A/A run of the embedded suite, any case about pairs fails | {name}", any(failing)
        guessing = [place.measure(place.guesses(rng)) for _ in suite.models]
        below = [
            judge_over_random("m", bucket, measured[bucket], gate, cases)[0] is False
            for measured in guessing
            for bucket, gate in gates(measured, place.baseline).items()
        ]
        yield f"A/A run of the embedded suite, any case fails | {name}", any(failing) or any(below)


def controls(rng: np.random.Generator) -> Found:
    """A planted gain of ten points fails the negative control. A positive control without a gain fails."""
    place, suite = world(), load_suite("embedded")
    cases = len(BUCKETS) * (len(suite.pairs) + len(suite.models))
    low = [0.9, *[0.05] * 7]  # below guessing, like the embedded base
    for name, clustering in CLUSTERINGS.items():
        base, planted, same = place.answers(rng, clustering, [low, [0.9, *[0.15] * 7], low])
        for control, variant in (("negative", planted), ("positive", same)):
            found = main_of(place.compare(Pair("code", "b", "v", control), base, variant))  # type: ignore[arg-type]
            yield f"planted: {control} control fails | {name}", judge(found, cases).case == "fails"


def published(rng: np.random.Generator) -> Found:
    """Null pairs with counts only, judged as independent and under assumed design effects."""
    place = world()
    for name, clustering in CLUSTERINGS.items():
        for correlation in CORRELATIONS:
            answers = place.answers(rng, clustering.correlated(correlation), [ACCURACIES] * 2)
            base, variant = map(place.measure, answers)
            for effect in (1.0, *ASSUMED_DESIGN_EFFECTS):
                found = main_of(compare_recorded(ONE[0], base, variant, place.baseline, effect))
                cell = f"correlation {correlation}, judged at design effect {effect:g}, {name}"
                yield f"null pair of counts, better or worse at 1+ | {cell}", decided(judge(found))


def agreements(rng: np.random.Generator) -> Found:
    """Four models that agree with their published figures, on all buckets."""
    place = world()
    for name, clustering in CLUSTERINGS.items():
        departs = []
        for _ in range(4):
            live, told = (place.measure(place.answers(rng, clustering, [ACCURACIES])[0]) for _ in range(2))
            counts = {
                bucket: replace(entry, scenarios=0, design_effect=1.0) for bucket, entry in told.items()
            }
            departs += [agreement_p(live[bucket], counts[bucket]) * 36 < ALPHA for bucket in live]
        yield f"agreement with published figures, any of 36 departs | {name}", any(departs)


MEASURES: dict[str, Callable[[np.random.Generator], Found]] = {
    measure.__name__: measure
    for measure in (
        null_pairs, gains, families, mixed_families, pooled, probes,
        power, guessers, runs, controls, published, agreements,
    )  # fmt: skip
}
