"""A store, or the folder of a run -> every format of its report. This needs no model."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import msgspec

from bench import ROOT
from bench.decoding import CHOICE
from bench.inputs import COUNT, MEGABYTE, SEED, InputError, read_json
from bench.nights.files import find_night, load
from bench.nights.regression import SAME, compare_nights
from bench.records import Evaluation, Results, Suite
from bench.report.files import check_place, write
from bench.run.evaluate import from_store, scored
from bench.run.options import Options
from bench.run.plans import Plan, load_suites, merge, metadata_of, plan_of, published_of, singles_of
from bench.run.session import Session
from bench.scoring.verdicts import families, judge_recorded
from bench.store import Settings, Store, existing_store
from bench.text import say

Number = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
ASKED = ("suite", "dataset", "dataset_password", "seed", "version", "limit", "protocol", "metric")
Metadata = dict[str, str | int | float | bool | None]


class ModelOf(msgspec.Struct):
    """One model of a run: the settings under which the store has its answers."""

    fingerprint: dict[str, Any]


class PairOf(msgspec.Struct):
    base: str
    variant: str


class ComparisonOf(msgspec.Struct):
    pair: PairOf


class VerdictOf(msgspec.Struct):
    comparison: ComparisonOf


class Asked(msgspec.Struct):
    """The options of data and protocol."""

    dataset: str
    seed: Number
    version: str
    limit: Number
    protocol: str
    metric: str


class Run(msgspec.Struct):
    """The part of a run's results.json that is needed to make its report again."""

    metadata: Metadata
    asked: Asked
    models: dict[str, ModelOf]
    verdicts: list[VerdictOf]
    skipped: dict[str, str]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("source", type=Path, metavar="STORE_OR_RUN",
        help="a store's file, or the folder of a run in reports/")  # fmt: skip
    add("--store", type=Path, default=ROOT / ".boxes" / "store.sqlite",
        help="the store that a run used (default: .boxes/store.sqlite)")  # fmt: skip
    add("--report-dir", type=Path, default=ROOT / "reports", metavar="DIR", help="default: reports")
    add("--compare", metavar="PATH|NAME", nargs="?", const="", help="a saved run, or the pinned baseline")
    add("--suite", default="embedded,paper", metavar="NAME|FILE,...", help="default: %(default)s")
    add("--dataset", default="evaluation", metavar="SET", help="a store's data set, as in --boxes-dataset")
    add("--dataset-password", metavar="WORD")
    add("--seed", type=SEED, default=0, metavar="N")
    add("--version", default="base", metavar="NAME")
    add("--limit", type=COUNT, metavar="N")
    add("--protocol", default="paper", metavar="NAME")
    add("--metric", default="generation", metavar="NAME", help="generation or logprob (default: %(default)s)")
    add("--released-examples", action="store_true", help="also show released data in report.html")


def run(arguments: argparse.Namespace) -> int:
    """Make a run's report again in its folder, or make a report of a whole store."""
    source, reports = arguments.source, arguments.report_dir
    made = read_run(source) if source.is_dir() else None
    store_path = existing_store(arguments.store if made else source)
    check_place(source if made else reports)
    asked = Options(**{name: getattr(arguments, name) for name in ASKED})
    if made:
        asked = as_made(asked, made)
    suites, plan = load_suites(asked), plan_of(asked)
    with Store(store_path) as store:
        session = Session(merge(suites), plan, store)
        session.evaluations |= recall_runs(session.suite, plan, store, made.models if made else None)
        if not session.evaluations:
            raise InputError(
                f"{store_path} has no model with answers to all of these examples under this protocol."
            )
        results = replace(remake(session, made), published=published_of(suites))
        recorded = [entry for suite in suites for entry in judge_recorded(suite, plan.baseline)]
    tested = {entry.comparison.pair.hypothesis for entry in results.verdicts}
    compare = arguments.compare
    night = None if compare is None else load(find_night(compare, reports / "saved"))
    folder = source if made else reports / store_path.stem
    hidden = plan.is_released and not arguments.released_examples
    write(
        results,
        folder,
        session.suite,
        examples=() if hidden else plan.examples,
        recorded=[entry for entry in recorded if entry.comparison.pair.hypothesis in tested],
        regression=compare_nights(results, night) if night else None,
    )
    say(f"report of {len(results.evaluations)} models: {folder / 'report.html'}")
    return 0


def read_run(folder: Path) -> Run:
    """Read results.json of a run. Raises InputError if it is missing, edited or of another version."""
    if not (folder / "results.json").exists():
        raise InputError(f"{folder} is not the folder of a run. Give a folder in reports/, or a store.")
    made = read_json(folder / "results.json", Run, limit=64 * MEGABYTE)
    for key in SAME:
        if not isinstance(made.metadata.get(key), str):
            raise InputError(f"{folder / 'results.json'}: metadata: {key} is missing. Run it again.")
    return made


def as_made(asked: Options, made: Run) -> Options:
    """The given options, with data and protocol replaced by those of the run."""
    return replace(asked, **msgspec.structs.asdict(made.asked))


def recall_runs(
    suite: Suite, plan: Plan, store: Store, only: Mapping[str, ModelOf] | None
) -> dict[str, Evaluation]:
    """Every model that answered all examples under its last settings in the store.

    only: the models of a run and their settings then. With it, no other models or settings are used.
    """
    found = {}
    for made in store.runs():
        name, recorded = made["model"], made["settings"]
        wanted = only is None or (name in only and recorded == only[name].fingerprint)
        same_metric = (recorded.get("engine") == CHOICE) == plan.scores_choices
        if name not in suite.models or not (wanted and same_metric):
            continue
        parts = {
            key.removeprefix("model."): value for key, value in recorded.items() if key.startswith("model.")
        }
        settings = Settings(parts, plan.constraint, str(recorded.get("engine")))
        same = settings.digest == made["settings_digest"]
        if same and (kept := from_store(plan, store, [settings])):
            found[name] = scored(name, plan, *kept, store)
    return found


def remake(session: Session, made: Run | None) -> Results:
    """The results of the pairs that the run tested, or of all pairs with both models in the store."""
    metadata = metadata_of(session.suite, session.plan)
    pairs, singles = session.suite.pairs, singles_of(session.suite)
    if made:
        metadata = checked(metadata, made.metadata)
        tested = [entry.comparison.pair for entry in made.verdicts]
        pairs = tuple(pair for pair in pairs if PairOf(pair.base, pair.variant) in tested)
        singles = [name for name in singles if name in made.models]
        session.skipped |= made.skipped
    return session.results(families(filter(session.has_evaluated, pairs)), metadata, singles)


def checked(now: Mapping[str, object], made: Mapping[str, object]) -> dict[str, object]:
    """The run's own metadata. Raises ValueError if this checkout makes other data or another protocol."""
    for part in SAME:
        if now[part] != made[part]:
            raise InputError(
                f"the run had another {part}: {made[part]}, but this checkout makes {now[part]}."
            )
    return dict(made)
