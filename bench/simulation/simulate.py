"""python -m bench simulate: how often findings are wrong, and intervals right, on answers with known truth.

A line of the table shows a rate (measures.py), its standard error and the bounds that it must keep.
"""

from __future__ import annotations

import json
import zlib
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from math import sqrt
from pathlib import Path

import numpy as np
from tabulate import tabulate

from bench.inputs import COUNT, SEED, InputError, read_json
from bench.outputs import check_output, write_text
from bench.simulation.measures import MEASURES

CHUNK = 50  # repetitions between two saves of the counts
Bounds = tuple[float, float]
BOUNDS: dict[str, Bounds] = {  # by prefix of a line
    "null pair, better or worse at 1+ | 716": (0, 0.055),
    "null pair, better or worse at 1+ | limit": (0, 0.06),
    "null pair, any": (0, 0.06),
    "95% interval of a difference covers, 1+": (0.93, 0.98),
    "95% interval of a difference covers, bucket": (0.92, 1),
    "95% interval of an accuracy covers, 1+": (0.93, 0.98),
    "95% interval of an accuracy covers, bucket": (0.92, 1),
    "adjusted interval": (0.92, 1),
    "95% interval of a pooled gain covers |": (0.93, 0.98),
    "95% interval of a probe's difference covers": (0.93, 0.98),
    "null family": (0, 0.055),
    "power": (0.76, 0.86),
    "guesser below guessing, alone": (0, 0.055),
    "guesser above guessing, alone": (0, 0.055),
    "guesser below guessing in some": (0, 0.06),
    "guesser above guessing in some": (0, 0.06),
    "A/A run": (0, 0.05),
    "planted: negative": (0.99, 1),
    "planted: positive": (0.95, 1),  # it shows a gain by chance in 2.5% of runs
    "agreement": (0, 0.05),
}
Counts = dict[str, dict[str, tuple[int, int]]]  # measure -> line -> occurred, repetitions


def simulate(names: Sequence[str], repetitions: int, seed: int, counts: Counts) -> Iterator[Counts]:
    """Continue from earlier counts, one chunk at a time. The counts equal those of a single run."""
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
    """One row per line: rate and standard error in percent, bounds, and whether it keeps them."""
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
    add("--out", type=Path, metavar="FILE", help="save counts in this JSON file, and continue from it")


def run(args: Namespace) -> int:
    """Print the table. The exit status is 1 if a line does not keep its bounds."""
    names = args.measures.split(",")
    if unknown := set(names) - MEASURES.keys():
        raise InputError(f"unknown measures {', '.join(sorted(unknown))}. Choose from {', '.join(MEASURES)}.")
    counts: Counts = {}
    if args.out and check_output(args.out).exists():
        counts = read_json(args.out, Counts)
    for so_far in simulate(names, args.repetitions, args.seed, counts):
        if args.out:
            write_text(args.out, json.dumps(so_far, indent=1) + "\n")
    print(table(counts))
    return 1 if "NO" in table(counts) else 0
