"""python -m bench score: put the answers of a suite's models into the store. pytest then judges them.

Models run here, over Ray, or as a SLURM array job: one task per model, each with its own store. A last job
merges the stores.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from tqdm import tqdm

import bench
from bench.cluster.tasks import score, score_over_ray
from bench.inputs import InputError
from bench.outputs import write_text
from bench.records import Suite
from bench.run.options import IN_MEMORY, Options, add_options, choose, options_of, words
from bench.run.plans import load_suites, merge, models_of, new_run_id, override, plan_of
from bench.run.session import Session
from bench.store import Store, check_store
from bench.text import printable, say, shell

JUDGING = (  # options of pytest that are needed only to judge answers
    "buckets", "require", "dry_run", "report_dir", "released_examples", "save", "compare", "compare_fail",
    "log_samples", "track",
)  # fmt: skip
HERE = ("models", "gpus_per_worker", "dataset_password")  # left out of the printed pytest command
RENAMED = {"--gpus-per-worker": "--gpus-per-model"}
OF_ONE = ("limit", "dataset", "version", "seed", "protocol", "engine", "metric")  # options for one model
CHANGED: dict[str, dict[str, Any]] = {
    "--models": {"help": "these models (default: those of all pairs)"},
    "--store": {"metavar": "PATH"},
}
SCRIPT = """\
#!/usr/bin/env bash
# One task per model, {count} in all. Add your site's partition, time and memory:
# sbatch --partition=... {script}
# A killed or requeued task resumes from its store. When all tasks have ended, run: {merge}
#SBATCH --job-name=boxes
#SBATCH --array=0-{last}
#SBATCH --gres=gpu:{gpus}
#SBATCH --output={shards}/%a.log
#SBATCH --open-mode=append
#SBATCH --requeue
set -euo pipefail
models=({names})
name=${{models[$SLURM_ARRAY_TASK_ID]}}
cd {folder}
exec {score} --models="$name" --store={shards}/"$name".sqlite
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    def add(flag: str, **settings: Any) -> None:
        parser.add_argument(RENAMED.get(flag, flag), **{**settings, **CHANGED.get(flag, {})})

    parser.add_argument(
        "model", nargs="?", metavar="MODEL", help="one model instead of a suite: hub id, folder or GGUF file"
    )
    parser.add_argument("--chat", action="store_true", help="use the chat template of MODEL")
    add_options(add, prefix="--", without=JUDGING)
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--ray",
        metavar="auto|local|ADDRESS",
        help="run each model as a Ray task; local: only on this machine (default: one by one, without Ray)",
    )
    where.add_argument(
        "--slurm", type=Path, metavar="FILE", help="write an array job with a task per model, and run nothing"
    )


def run(args: argparse.Namespace) -> int:
    """Score one model or a suite. The exit status is 1 if a model could not be scored; it is named."""
    try:
        return score_all(args) if args.model is None else score_one(args)
    except ValueError as error:
        raise InputError(as_typed(str(error))) from None


def score_one(args: argparse.Namespace) -> int:
    """Score one model by name, and print its accuracy by number of operations."""
    asked = {name: getattr(args, f"boxes_{name}") for name in OF_ONE}
    store = None if args.boxes_store in IN_MEMORY else args.boxes_store
    result = bench.evaluate(args.model, chat=args.chat, store=store, **asked)
    say(repr(result), result.accuracy().to_string(float_format="{:.3f}".format))
    return 0


def score_all(args: argparse.Namespace) -> int:
    asked = options_of(vars(args))
    if asked.in_memory:
        raise InputError(f"--store {asked.store}: answers must be kept for later. Give a file.")
    suite = override(merge(load_suites(asked)), asked.model_args)
    names = chosen(suite, asked.models)
    plan = plan_of(asked, new_run_id(), progress=not args.ray)
    if args.slurm:
        check_store(asked.store)
        passed = [*given(asked, "--", "store"), f"--gpus-per-model={asked.gpus_per_worker}"]
        say(*write_job(args.slurm, names, passed, asked.gpus_per_worker, Path(asked.store)))
        return 0
    session = Session(suite, plan, Store(asked.store))
    here = ((name, score(session, name)) for name in names)
    scored = tell(score_over_ray(session, names, args.ray) if args.ray else here)
    for notice in [*session.store.notices, *session.store.problems()]:
        say(f"store: {notice}")
    judge = shlex.join(["pytest", "-m", "code_hypothesis", *given(asked, "--boxes-")])
    say(f"{scored} of {len(names)} models are in the store. Judge them: {judge}")
    return int(scored < len(names))


def tell(ended: Iterable[tuple[str, str | None]]) -> int:
    """Print a line for each finished model, above the progress bars. Returns the number of scored models."""
    scored = 0
    for name, reason in ended:
        tqdm.write(printable(f"{name}: {as_typed(reason or 'scored')}"))
        scored += reason is None
    return scored


def chosen(suite: Suite, names: str) -> list[str]:
    """The named models, else those of all pairs with each base first, else all models of the suite."""
    named = [choose("model", name, suite.models) for name in words(names)]
    return named or models_of(suite.pairs) or list(suite.models)


def given(asked: Options, prefix: str, *without: str) -> list[str]:
    """The options that differ from their defaults, as command-line arguments."""
    return [
        f"{prefix}{entry.name.replace('_', '-')}={value}"
        for entry in fields(Options)
        if entry.name not in (*JUDGING, *HERE, *without)
        if (value := getattr(asked, entry.name)) != entry.default
    ]


def write_job(
    script: Path, names: Sequence[str], options: Sequence[str], gpus: int, store: Path
) -> list[str]:
    """Write the script. Returns the commands that submit it and then merge all rows into one store.

    options: command-line arguments of `python -m bench score`.
    """
    shards = Path(f"{store.absolute()}.shards")
    command = f"{shell(sys.executable)} -m bench"
    merge = f"{command} store merge --store={shell(store.absolute())} {shell(shards)}/*.sqlite"
    text = SCRIPT.format(
        count=len(names),
        last=len(names) - 1,
        script=shell(script.name),
        gpus=gpus,
        names=" ".join(map(shell, names)),
        folder=shell(Path.cwd()),
        shards=shell(shards),
        score=" ".join([command, "score", *map(shell, options)]),
        merge=merge,
    )
    if not script.parent.is_dir():
        raise InputError(f"cannot write {script}: {script.parent} is not a folder. Choose another file.")
    try:
        shards.mkdir(parents=True, exist_ok=True)  # SLURM does not create the folder of its logs
        write_text(script, text)
    except OSError as error:
        raise InputError(
            f"cannot write {script}: {error.strerror}. Choose another file after --slurm."
        ) from None
    return [
        f"job=$(sbatch --parsable {shell(script)})",
        f'sbatch --dependency=afterany:"$job" --wrap={shell(merge)}',
    ]


def as_typed(text: str) -> str:
    """A message about pytest's options, with this command's option names."""
    text = text.replace("--boxes-", "--")
    for name, renamed in RENAMED.items():
        text = text.replace(name, renamed)
    return text
