"""python -m bench probes: models -> the effect of one critical sentence on the accuracy of each."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from tabulate import tabulate

from bench.inputs import COUNT, SEED, whole
from bench.models.suites import load_suite
from bench.run.evaluate import evaluate
from bench.run.options import Options, choose
from bench.run.plans import Plan
from bench.scoring.scores import Cost, cost_of
from bench.scoring.sentences import show_p
from bench.store import Store
from bench.task.probes import MAX_OPERATIONS, NUM_PAIRS, PROBES, examples_of, minimal_pairs
from bench.task.prompts import PROTOCOLS

HEADINGS = ("probe", "model", "boxes", "n", "without", "with", "difference", "95% interval", "p")


def add_arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("--suite", default="embedded", metavar="NAME|FILE", help="(default: %(default)s)")
    add("--models", default="", metavar="NAME,...", help="only these models (default: all of the suite)")
    add("--probes", default=",".join(PROBES), metavar="NAME,...", help="(default: %(default)s)")
    add("--pairs", type=COUNT, default=NUM_PAIRS["evaluation"], metavar="N", help="(default: %(default)s)")
    add("--operations", type=whole(1, 100), default=MAX_OPERATIONS, metavar="N",
        help="largest number of other operations (default: %(default)s)")  # fmt: skip
    add("--seed", type=SEED, default=0, help="(default: %(default)s)")
    add("--protocol", choices=PROTOCOLS, default="paper", help="(default: %(default)s)")
    add("--store", default=":memory:", metavar="PATH", help="store for the answers (default: none)")
    add("--json", action="store_true", help="print JSON, accuracies in [0, 1]")


def run(args: Namespace) -> int:
    """Ask every model both examples of every pair, and print a table."""
    suite = load_suite(args.suite)
    names = [choose("model", name, suite.models) for name in args.models.split(",") if name]
    found: dict[str, dict[str, dict[str, Cost]]] = {}  # by probe, model and kind of box
    with Store(args.store if args.store == ":memory:" else Path(args.store)) as store:
        for probe in args.probes.split(","):
            kind = choose("probe", probe, PROBES)
            pairs = list(minimal_pairs(kind, args.seed, args.pairs, args.operations))
            options = Options(dataset=probe, seed=args.seed, protocol=args.protocol)
            plan = Plan(tuple(examples_of(pairs)), options)
            found[probe] = {
                name: cost_of(evaluate(suite.models[name], plan, store, wait=0.0).scores, pairs)
                for name in names or suite.models
            }
    print(json.dumps(found, default=asdict, indent=1) if args.json else as_table(found))
    return 0


def as_table(found: Mapping[str, Mapping[str, Mapping[str, Cost]]]) -> str:
    """One row per probe, model and kind of box. Accuracies in percent, differences in points."""
    rows = [
        [probe, name, where, *cells(cost)]
        for probe, models in found.items()
        for name, costs in models.items()
        for where, cost in costs.items()
    ]
    return tabulate(rows, headers=HEADINGS, tablefmt="github", disable_numparse=True)


def cells(cost: Cost) -> list[str]:
    difference = cost.difference
    return [
        str(cost.without.n),
        f"{100 * cost.without.value:.1f}",
        f"{100 * cost.with_sentence.value:.1f}",
        f"{100 * difference.value:+.1f}",
        f"{100 * difference.low:+.1f} to {100 * difference.high:+.1f}",
        show_p(difference.p),
    ]
