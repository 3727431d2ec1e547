"""boxes export: a run and its store -> every answer as JSON lines, Parquet or an Inspect log."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from bench import ROOT
from bench.exports.inspect_log import log_of
from bench.inputs import InputError, place
from bench.models.suites import name_of
from bench.outputs import check_output, replacing, write_text
from bench.records import Evaluation, ModelEntry, Suite
from bench.report.command import as_made, checked, read_run, recall_runs
from bench.report.examples import rows
from bench.report.view import folder_of_run
from bench.run.metadata import metadata_of
from bench.run.options import Options
from bench.run.plans import Plan, plan_of
from bench.store import Store, existing_store
from bench.store.command import WRITERS
from bench.text import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("run", nargs="?", default="latest", help="folder of a run, or its name (default: %(default)s)")
    add("--format", choices=FORMATS, default="jsonl", help="default: %(default)s")
    add("--output", type=Path, metavar="PATH", help="file, or folder for inspect (default: the run's)")
    add("--store", type=Path, default=ROOT / ".boxes" / "store.sqlite", help="default: .boxes/store.sqlite")
    add("--report-dir", type=Path, default=ROOT / "reports", metavar="DIR", help="default: reports")
    add("--dataset-password", metavar="WORD")
    add("--released-examples", action="store_true", help="also export the prompts of released data")


def run(chosen: argparse.Namespace) -> int:
    """Write the answers of all models of the run that the store still has."""
    folder, store = folder_of_run(chosen.run, chosen.report_dir), existing_store(chosen.store)
    output = place(chosen.output or folder / DEFAULTS[chosen.format])
    if chosen.format != "inspect":
        check_output(output)
    plan, evaluations = recall(folder, store, chosen.dataset_password)
    made = FORMATS[chosen.format](evaluations, plan, output, chosen.released_examples)
    say(f"answers of {len(evaluations)} models: {made}")
    return 0


def recall(folder: Path, store: Path, password: str | None) -> tuple[Plan, dict[str, Evaluation]]:
    """A run's plan and the evaluations of its models. Raises InputError if they cannot be recovered."""
    made = read_run(folder)
    plan = plan_of(as_made(Options(dataset_password=password), made))
    plan = replace(plan, run_id=str(made.metadata.get("run", folder.name)))
    suite = Suite("run", {name: ModelEntry(name, "") for name in made.models}, ())
    checked(metadata_of(suite, plan), made.metadata)
    with Store(store) as kept:
        evaluations = recall_runs(suite, plan, kept, made.models)
    if not evaluations:
        raise InputError(f"{store} has no answers of this run. Give the run's store with --store.")
    return plan, evaluations


def write_table(
    evaluations: Mapping[str, Evaluation], plan: Plan, output: Path, released: bool, kind: str = "jsonl"
) -> Path:
    """One row per model and query. kind: jsonl or parquet."""
    found = [row for entry in evaluations.values() for row in rows(entry, plan, released=released)]
    with replacing(output) as fresh:
        WRITERS[kind](found, fresh)
    return output


def write_parquet(evaluations: Mapping[str, Evaluation], plan: Plan, output: Path, released: bool) -> Path:
    return write_table(evaluations, plan, output, released, kind="parquet")


def write_inspect(evaluations: Mapping[str, Evaluation], plan: Plan, output: Path, released: bool) -> Path:
    """One log per model, for `inspect view --log-dir`."""
    for name, evaluation in evaluations.items():
        write_text(output / f"{name_of(name)}.json", log_of(evaluation, plan, released))
    return output


FORMATS = {"jsonl": write_table, "parquet": write_parquet, "inspect": write_inspect}
DEFAULTS = {"jsonl": "answers.jsonl", "parquet": "answers.parquet", "inspect": "inspect"}
