"""python -m bench simulate: how often findings are wrong, and intervals right, on answers of known truth.

Each measure draws answers (worlds.py), judges them by the code that judges runs, and counts. A line of the
table is a rate with its standard error, beside the bounds that it must keep.
"""

from __future__ import annotations

import json
import zlib
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from math import sqrt
from pathlib import Path

import numpy as np
from tabulate import tabulate

from bench.arguments import COUNT, SEED
from bench.inputs import InputError, place, read_json
from bench.models.suites import load_suite
from bench.outputs import write_text
from bench.proportions import ALPHA
from bench.records import BUCKETS, Comparison, Pair, Verdict
from bench.run.plans import limited
from bench.run.worlds import CLUSTERINGS, Answers, Clustering, World
from bench.scoring.stats import agreement_p, gates, leveled
from bench.scoring.verdicts import (
    adjust_over_pairs,
    compare_recorded,
    judge,
    judge_over_random,
)
from bench.task.examples import evaluation_set

MAIN = "ops1plus"
SIZES = {"716 examples": None, "limit 100": 100, "limit 50": 50, "limit 20": 20}
ACCURACIES = (0.9, 0.35, 0.33, 0.3, 0.3, 0.28, 0.27, 0.25)  # of a model, with 0 to 7 operations
CHUNK = 50  # repetitions between two savings
ONE, FIVE, TEN = ([Pair("code", "base", f"variant{n}") for n in range(size)] for size in (1, 5, 10))

Found = Iterator[tuple[str, bool]]  # what a repetition counts: a line of the table, and whether it occurred
Bounds = tuple[float, float]


@cache
def world(size: str) -> World:
    return World(limited(evaluation_set(), SIZES[size]))


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
    """Two models of one accuracy: no difference is to be found, and intervals hold zero."""
    for size in ("716 examples", "limit 100", "limit 50"):
        for name, clustering in CLUSTERINGS.items():
            base, variant = world(size).answers(rng, clustering, [ACCURACIES] * 2)
            [found] = family(world(size), ONE, [variant], base)
            main, rest = main_of(found), [e for e in found if e.bucket not in ("ops0", MAIN)]
            yield f"null pair, better or worse at 1+ | {size}, {name}", decided(judge(main))
            yield f"null pair, any of buckets 1 to 7 | {size}, {name}", any(decided(judge(e)) for e in rest)
            if size == "716 examples":
                yield from covered("null pair", name, found, {e.bucket: 0.0 for e in found})


def gains(rng: np.random.Generator) -> Found:
    """A gain of ten points everywhere: intervals hold it."""
    place = world("716 examples")
    variant_is = [min(share + 0.1, 0.99) for share in ACCURACIES]
    before, after = place.shares(ACCURACIES), place.shares(variant_is)
    for name, clustering in CLUSTERINGS.items():
        base, variant = place.answers(rng, clustering, [ACCURACIES, variant_is])
        [found] = family(place, ONE, [variant], base)
        yield from covered("gain of 10", name, found, {b: after[b] - before[b] for b in before})
        for bucket, measured in place.measure(base).items():
            cell = "1+" if bucket == MAIN else f"bucket {bucket[3:]}"
            yield (
                f"95% interval of an accuracy covers, {cell} | {name}",
                measured.low <= before[bucket] <= measured.high,
            )


def covered(kind: str, name: str, found: Sequence[Comparison], truth: Mapping[str, float]) -> Found:
    for entry in found:
        plain = leveled(entry.difference)  # the interval at 95%, before any adjustment
        cell = "1+" if entry.bucket == MAIN else f"bucket {entry.bucket[3:]}"
        holds = plain.low <= truth[entry.bucket] <= plain.high
        yield f"95% interval of a difference covers, {cell} | {kind}, {name}", holds


def families(rng: np.random.Generator) -> Found:
    """Five and ten null pairs that share a base."""
    for pairs in (FIVE, TEN):
        for name, clustering in CLUSTERINGS.items():
            place = world("716 examples")
            base, *variants = place.answers(rng, clustering, [ACCURACIES] * (len(pairs) + 1))
            tested = [main_of(found) for found in family(place, pairs, variants, base)]
            cell = f"{len(pairs)} pairs, {name}"
            yield f"null family, any better or worse at 1+ | {cell}", any(decided(judge(e)) for e in tested)


def power(rng: np.random.Generator) -> Found:
    """A gain as large as the difference that a null pair prints as seen with 80% power."""
    place = world("716 examples")
    for name, clustering in CLUSTERINGS.items():
        for pairs in (ONE, FIVE, TEN):
            base, *variants = place.answers(rng, clustering, [ACCURACIES] * (len(pairs) + 1))
            printed = main_of(family(place, pairs, variants, base)[0]).difference.detectable
            found = family(place, pairs, *with_gain(rng, clustering, len(pairs), BUCKETS[1:-1], printed))
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
    """Variants, of which the first has the gain in some buckets, and their base."""
    improved = [
        min(share + gain, 0.995) if bucket in buckets else share
        for bucket, share in zip(BUCKETS[:-1], ACCURACIES, strict=True)
    ]
    models = [ACCURACIES, improved, *[ACCURACIES] * (variants - 1)]
    base, *found = world("716 examples").answers(rng, clustering, models)
    return found, base


def guessers(rng: np.random.Generator) -> Found:
    """A model that guesses, at several limits."""
    for size in SIZES:
        place = world(size)
        found = gates(place.measure(place.guesses(rng)), place.baseline)
        for bucket, gate in found.items():
            alone = gate.p < ALPHA
            cell = f"{'1+' if bucket == MAIN else bucket[3:]} | {size}"
            yield f"guesser below guessing, alone, {cell}", alone and gate.value < 0
            yield f"guesser above guessing, alone, {cell}", alone and gate.value > 0
        for side in ("below", "above"):
            some = any(gate.standing == side for gate in found.values())
            yield f"guesser {side} guessing in some bucket | {size}", some


def runs(rng: np.random.Generator) -> Found:
    """A run of the embedded suite in which training changes nothing: no case may fail."""
    place, suite = world("716 examples"), load_suite("embedded")
    cases = len(BUCKETS) * (len(suite.pairs) + len(suite.models))
    for name, clustering in CLUSTERINGS.items():
        answers = dict(
            zip(suite.models, place.answers(rng, clustering, [ACCURACIES] * len(suite.models)), strict=True)
        )
        failing = [
            judge(entry, cases).case == "fails"
            for pair in suite.pairs
            for entry in place.compare(pair, answers[pair.base], answers[pair.variant])
            if not (pair.control == "positive" and entry.bucket == MAIN)  # it has no gain to show here
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
    """A planted gain of ten points fails the negative control; a positive control without a gain fails."""
    place, suite = world("716 examples"), load_suite("embedded")
    cases = len(BUCKETS) * (len(suite.pairs) + len(suite.models))
    low = [0.9, *[0.05] * 7]  # below guessing, as the embedded base
    for name, clustering in CLUSTERINGS.items():
        base, planted, same = place.answers(rng, clustering, [low, [0.9, *[0.15] * 7], low])
        for control, variant in (("negative", planted), ("positive", same)):
            found = main_of(place.compare(Pair("code", "b", "v", control), base, variant))  # type: ignore[arg-type]
            yield f"planted: {control} control fails | {name}", judge(found, cases).case == "fails"


def published(rng: np.random.Generator) -> Found:
    """Null pairs of which only counts are known, judged as independent and under assumed design effects."""
    place = world("716 examples")
    for name, clustering in CLUSTERINGS.items():
        base, variant = (place.measure(a) for a in place.answers(rng, clustering, [ACCURACIES] * 2))
        for effect in (1.0, 1.4, 2.0):
            found = main_of(compare_recorded(ONE[0], base, variant, place.baseline, effect))
            yield (
                f"null pair of counts, better or worse at 1+ | design effect {effect}, {name}",
                decided(judge(found)),
            )


def agreements(rng: np.random.Generator) -> Found:
    """Four models that come out as published, on all buckets."""
    place = world("716 examples")
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
    function.__name__: function
    for function in (null_pairs, gains, families, power, guessers, runs, controls, published, agreements)
}
BOUNDS: dict[str, Bounds] = {  # by how a line begins
    "null pair, better or worse at 1+ | 716": (0, 0.055),
    "null pair, better or worse at 1+ | limit": (0, 0.06),
    "null pair, any": (0, 0.06),
    "95% interval of a difference covers, 1+": (0.93, 0.98),
    "95% interval of a difference covers, bucket": (0.92, 1),
    "95% interval of an accuracy covers, 1+": (0.93, 0.98),
    "95% interval of an accuracy covers, bucket": (0.92, 1),
    "null family": (0, 0.055),
    "power": (0.76, 0.86),
    "guesser below guessing, alone": (0, 0.055),
    "guesser above guessing, alone": (0, 0.055),
    "guesser below guessing in some": (0, 0.06),
    "guesser above guessing in some": (0, 0.06),
    "A/A run": (0, 0.05),
    "planted: negative": (0.99, 1),
    "planted: positive": (0.95, 1),  # it is shown a gain by chance in 2.5% of runs
    "agreement": (0, 0.05),
}
Counts = dict[str, dict[str, tuple[int, int]]]  # measure -> line -> occurred, repetitions


def simulate(names: Sequence[str], repetitions: int, seed: int, counts: Counts) -> Iterator[Counts]:
    """Count on from what is known, a chunk at a time: the same counts as in one go."""
    for name in names:
        known = counts.setdefault(name, {})
        done = max((trials for _, trials in known.values()), default=0)
        for number in range(done, repetitions):
            rng = np.random.default_rng([seed, zlib.crc32(name.encode()), number])
            for line, occurred in MEASURES[name](rng):
                hits, trials = known.get(line, (0, 0))
                known[line] = hits + bool(occurred), trials + 1
            if (number + 1) % CHUNK == 0 or number + 1 == repetitions:
                yield counts


def bounds_of(line: str) -> Bounds | None:
    return next((bounds for start, bounds in BOUNDS.items() if line.startswith(start)), None)


def table(counts: Counts) -> str:
    """A row a line: its rate and standard error in percent, its bounds, and whether it keeps them."""
    rows = []
    for line, (hits, trials) in ((line, count) for found in counts.values() for line, count in found.items()):
        rate, bounds = hits / trials, bounds_of(line)
        error = sqrt(rate * (1 - rate) / trials)
        within = "" if bounds is None else "yes" if bounds[0] <= rate <= bounds[1] else "NO"
        stated = "" if bounds is None else f"{100 * bounds[0]:g} to {100 * bounds[1]:g}"
        measure, _, cell = line.partition(" | ")
        rows.append([measure, cell, f"{100 * rate:.1f}", f"{100 * error:.1f}", trials, stated, within])
    columns = ["measure", "on", "%", "standard error", "repetitions", "bounds", "kept"]
    return tabulate(rows, columns, tablefmt="github", disable_numparse=True)


def add_arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("--measures", default=",".join(MEASURES), metavar="NAME,...", help="(default: %(default)s)")
    add("--repetitions", type=COUNT, default=1000, metavar="N", help="(default: %(default)s)")
    add("--seed", type=SEED, default=0, metavar="N", help="(default: %(default)s)")
    add("--out", type=Path, metavar="FILE", help="keep counts there (JSON), and go on from what it has")


def run(args: Namespace) -> int:
    """Print the table; exit status 1 if a line does not keep its bounds."""
    names = args.measures.split(",")
    if unknown := set(names) - MEASURES.keys():
        raise InputError(f"unknown measures {', '.join(sorted(unknown))}. Choose from {', '.join(MEASURES)}.")
    counts: Counts = {}
    if args.out and place(args.out).exists():
        counts = read_json(args.out, Counts)
    for so_far in simulate(names, args.repetitions, args.seed, counts):
        if args.out:
            write_text(args.out, json.dumps(so_far, indent=1) + "\n")
    print(table(counts))
    return 1 if "NO" in table(counts) else 0
