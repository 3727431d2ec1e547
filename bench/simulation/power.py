"""python -m bench power: before a run, the smallest gain that its examples detect with 80% power.

The gain depends on the share of queries that two models answer differently, and on their clustering in
scenarios. Both are measured on stored answers, given, or assumed.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import inf
from pathlib import Path
from statistics import fmean

from tabulate import tabulate

from bench.inputs import COUNT, SEED, InputError
from bench.models.suites import load_suite
from bench.proportions import ALPHA
from bench.records import Example, Suite, by_bucket
from bench.run.options import Options
from bench.run.plans import Plan, plan_of
from bench.run.session import Session
from bench.scoring.stats import POWER, expected_difference, leveled
from bench.scoring.verdicts import EXPLORED, families
from bench.store import Store, existing_store
from bench.task.examples import DEFAULT_SEED, PASSWORD_VARIABLE
from bench.task.prompts import PROTOCOLS
from bench.text import counted

DIFFERING, DESIGN_EFFECT = 0.3, 1.4  # assumptions: two models of a family, clustered like the embedded models
ASKED = ("dataset", "dataset_password", "seed", "version", "limit", "protocol")


@dataclass(frozen=True, slots=True)
class Assumed:
    """Assumed differences between two models. differing: share of queries with exactly one right answer."""

    differing: float
    design_effect: float
    source: str


@dataclass(frozen=True, slots=True)
class Row:
    """A bucket: its sample, the number of tests in its adjustment, the smallest detectable gain."""

    bucket: str
    n: int
    scenarios: int
    tests: int
    gain: float


ASSUMED = Assumed(DIFFERING, DESIGN_EFFECT, "assumed")


def smallest_gains(examples: Sequence[Example], pairs: int, assumed: Assumed = ASSUMED) -> list[Row]:
    """The smallest gain in each bucket with queries. pairs: number of pairs in the adjustment at 1+."""
    found = by_bucket(
        (query.num_ops, example.scenario_id) for example in examples for query in example.queries
    )
    explored = sum(bucket in found for bucket in EXPLORED)
    tests = dict.fromkeys(EXPLORED, explored) | {"ops0": 1, "ops1plus": pairs}
    rows = []
    for bucket, scenarios in found.items():
        sample = len(scenarios), len(set(scenarios))
        expected = expected_difference(*sample, assumed.differing, assumed.design_effect)
        gain = leveled(expected, power_alpha=ALPHA / tests[bucket]).detectable
        rows.append(Row(bucket, *sample, tests[bucket], gain))
    return rows


def measure(session: Session) -> Assumed | None:
    """The mean differences of a session's pairs at 1+, on known and on stored answers."""
    session.recall(session.suite.models)
    found = [
        entry.difference
        for pair in session.suite.pairs
        if session.has_evaluated(pair)
        for entry in session.comparisons(pair)
        if entry.bucket == "ops1plus" and entry.difference.growth
    ]
    if not found:
        return None
    n = sum(query.num_ops >= 1 for example in session.plan.examples for query in example.queries)
    return Assumed(
        fmean(difference.se**2 / difference.growth for difference in found),
        max(1.0, fmean(difference.growth * n for difference in found)),
        f"measured on {len(found)} pairs",
    )


def add_arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("--suite", default="embedded", metavar="NAME|FILE", help="suite of the pairs (default: %(default)s)")
    add("--dataset", default="evaluation", metavar="SET", help="data set, as in --boxes-dataset")
    add("--dataset-password", metavar="WORD", help=f"safer in ${PASSWORD_VARIABLE}")
    add("--limit", type=COUNT, metavar="N", help="number of examples (default: all)")
    add("--seed", type=SEED, default=DEFAULT_SEED, metavar="N",
        help="seed of generated data (default: %(default)s)")  # fmt: skip
    add("--version", default="base", help="version of the task (default: %(default)s)")
    add("--protocol", choices=PROTOCOLS, default="paper", help="of the stored answers (default: %(default)s)")
    add("--store", type=Path, metavar="PATH", help="measure SHARE and X on the answers of this store")
    add("--differing", type=float, metavar="SHARE", help=f"default: measured, or {DIFFERING}")
    add("--design-effect", type=float, metavar="X", help=f"default: measured, or {DESIGN_EFFECT}")
    add("--pairs", type=COUNT, metavar="N", help="pairs of the hypothesis (default: the most in the suite)")
    add("--json", action="store_true", help="print JSON, gains in [0, 1]")


def run(args: Namespace) -> int:
    """Print the table."""
    suite = load_suite(args.suite)
    plan = plan_of(Options(**{name: getattr(args, name) for name in ASKED}))
    pairs = args.pairs or max((len(family) for family in families(suite.pairs)), default=1)
    assumed = assume(args, suite, plan)
    rows = smallest_gains(plan.examples, pairs, assumed)
    found = asdict(assumed) | {"rows": [asdict(row) for row in rows]}
    print(json.dumps(found) if args.json else as_text(rows, assumed))
    return 0


def assume(args: Namespace, suite: Suite, plan: Plan) -> Assumed:
    """Given values, else values from the store, else defaults. Raises ValueError for impossible values."""
    found = ASSUMED
    if args.store:
        with Store(existing_store(args.store)) as store:
            found = measure(Session(suite, plan, store)) or found
    differing = found.differing if args.differing is None else args.differing
    effect = found.design_effect if args.design_effect is None else args.design_effect
    if not 0 < differing <= 1:
        raise InputError(f"--differing {differing} is not a share. Give a number above 0, at most 1.")
    if not 1 <= effect < inf:
        raise InputError(
            f"--design-effect {effect} is not a number of at least 1. Give 1 for queries that do not cluster."
        )
    given = args.differing is not None or args.design_effect is not None
    return Assumed(differing, effect, "given" if given else found.source)


def as_text(rows: Sequence[Row], assumed: Assumed) -> str:
    cells = [[row.bucket, row.n, row.scenarios, row.tests, show_gain(row.gain)] for row in rows]
    table = tabulate(cells, ["bucket", "n", "scenarios", "tests", "smallest gain (points)"], "github")
    return (
        f"{table}\n\nDetected with {POWER:.0%} power, two-sided at {ALPHA:.0%} after adjustment, if exactly "
        f"one model is right on {assumed.differing:.0%} of queries, with a design effect of "
        f"{assumed.design_effect:.1f} ({assumed.source})."
    )


def show_gain(gain: float) -> str:
    return "no gain detectable" if gain >= 1 else f"{100 * gain:.1f}"


def warning(examples: Sequence[Example], pairs: int) -> str:
    """One line for a run with a limit."""
    gains = {row.bucket: row.gain for row in smallest_gains(examples, pairs)}
    seen = "no gain can be shown"
    if (gain := gains.get("ops1plus", 1.0)) < 1:
        seen = f"the smallest gain detected with {POWER:.0%} power at 1+ is about {100 * gain:.0f} points"
    return f"With {counted(len(examples), 'example')} {seen} (see python -m bench power)."
