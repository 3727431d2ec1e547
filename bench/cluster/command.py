"""python -m bench score: put the answers of a suite's models into the store. pytest then judges from it."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from bench.cluster.slurm import write_job
from bench.cluster.tasks import score_here, score_over_ray
from bench.inputs import InputError
from bench.models.suites import load_suite
from bench.records import Suite
from bench.run import options
from bench.run.metadata import new_run_id
from bench.run.session import Session
from bench.store import Store
from bench.text import printable, say

# Options are pytest's, without "boxes-", but for those that matter only when answers are judged.
JUDGING = ("buckets", "require", "dry-run", "report-dir", "released-examples")
CHANGED: dict[str, dict[str, Any]] = {
    "models": {"help": "these models (default: those of all pairs)"},
    "store": {"metavar": "PATH"},
}
RENAMED = {"gpus-per-worker": "gpus-per-model"}
HERE = ("models", "gpus-per-worker", "dataset-password")  # not for whoever is told of this run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_options(parser)
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--ray",
        metavar="auto|local|ADDRESS",
        help="each model a task of a Ray cluster; local: of this machine alone (default: one by one, here)",
    )
    where.add_argument(
        "--slurm", type=Path, metavar="FILE", help="write an array job, one model a task, and run nothing"
    )


def add_options(parser: argparse.ArgumentParser) -> None:
    def add(name: str, **settings: Any) -> None:
        short = name.removeprefix("--boxes-")
        if short not in JUDGING:
            dest = name.removeprefix("--").replace("-", "_")
            settings |= CHANGED.get(short, {})
            parser.add_argument(f"--{RENAMED.get(short, short)}", dest=dest, **settings)

    options.add_options(add)


def run(args: argparse.Namespace) -> int:
    """Exit status 1 if a model could not be scored: each is named with the reason."""
    try:
        return score_all(args)
    except ValueError as error:
        raise InputError(as_typed(str(error))) from None


def score_all(args: argparse.Namespace) -> int:
    get = vars(args).__getitem__
    options.check(get)
    if get("boxes_store") in options.IN_MEMORY:
        raise InputError(f"--store {get('boxes_store')}: answers are kept for later. Name a file.")
    suites = [load_suite(name) for name in get("boxes_suite").split(",")]
    suite = options.override(options.merge(suites), get("boxes_model_args"))
    names = chosen(suite, get("boxes_models"))
    store = Path(get("boxes_store"))
    if args.slurm:
        gpus = get("boxes_gpus_per_worker")
        passed = [*given(args, "--", "store"), f"--gpus-per-model={gpus}"]
        say(*write_job(args.slurm, names, passed, gpus, store))
        return 0
    plan = replace(options.plan(get), run_id=new_run_id(), progress=not args.ray)
    session = Session(suite, plan, Store(store), get("boxes_wait"))
    ended = score_over_ray(session, names, args.ray) if args.ray else score_here(session, names)
    scored = tell(ended)
    for notice in [*session.store.notices, *session.store.problems()]:
        say(f"store: {notice}")
    judge = shlex.join(["pytest", "-m", "code_hypothesis", *given(args, "--boxes-")])
    say(f"{scored} of {len(names)} models are in the store. Judge them: {judge}")
    return int(scored < len(names))


def tell(ended: Iterable[tuple[str, str | None]]) -> int:
    """Print a line for each model as it ends, above the others' bars. Returns the number of scored models."""
    scored = 0
    for name, reason in ended:
        tqdm.write(printable(f"{name}: {as_typed(reason or 'scored')}"))
        scored += reason is None
    return scored


def chosen(suite: Suite, names: str) -> list[str]:
    """The named models, else those of all pairs with each base first, else all models of the suite."""
    if names:
        return [options.choose("model", name, suite.models) for name in names.split(",")]
    of_pairs = dict.fromkeys(name for pair in suite.pairs for name in (pair.base, pair.variant))
    return list(of_pairs or suite.models)


def given(args: argparse.Namespace, prefix: str, *without: str) -> list[str]:
    """The options that differ from their defaults, as one would type them."""
    parser = argparse.ArgumentParser()
    add_options(parser)
    defaults = vars(parser.parse_args([]))
    names = {dest: dest.removeprefix("boxes_").replace("_", "-") for dest in defaults}
    return [
        f"{prefix}{name}={vars(args)[dest]}"
        for dest, name in names.items()
        if name not in (*HERE, *without) and vars(args)[dest] != defaults[dest]
    ]


def as_typed(text: str) -> str:
    """A message about pytest's options, with the names of the options here."""
    for name, renamed in RENAMED.items():
        text = text.replace(f"--boxes-{name}", f"--{renamed}")
    return text.replace("--boxes-", "--")
