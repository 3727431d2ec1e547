"""boxes export: a run and its store -> every answer as JSON lines, Parquet or an Inspect log."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from bench import ROOT, __version__
from bench.inputs import InputError, place
from bench.models.suites import name_of
from bench.outputs import check_output, replacing, write_text
from bench.records import Evaluation, ModelEntry, Suite
from bench.report.command import as_made, checked, read_run, recall_runs
from bench.report.examples import rows
from bench.report.view import folder_of_run
from bench.run.options import Options
from bench.run.plans import Plan, metadata_of, plan_of
from bench.run.session import accuracies
from bench.store import Store, existing_store
from bench.store.command import WRITERS
from bench.text import say

BY_BOX = ("box", "num_ops", "gold", "answer", "correct", "error")


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
    file, write = FORMATS[chosen.format]
    output = place(chosen.output or folder / file)
    if chosen.format != "inspect":
        check_output(output)
    plan, evaluations = recall(folder, store, chosen.dataset_password)
    made = write(evaluations, plan, output, chosen.released_examples)
    say(f"answers of {len(evaluations)} models: {made}")
    return 0


def recall(folder: Path, store: Path, password: str | None) -> tuple[Plan, dict[str, Evaluation]]:
    """A run's plan and the evaluations of its models. Raises InputError if they cannot be recovered."""
    made = read_run(folder)
    asked = as_made(Options(dataset_password=password), made)
    plan = plan_of(asked, str(made.metadata.get("run", folder.name)))
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


def write_inspect(evaluations: Mapping[str, Evaluation], plan: Plan, output: Path, released: bool) -> Path:
    """One log per model, for `inspect view --log-dir`."""
    for name, evaluation in evaluations.items():
        write_text(output / f"{name_of(name)}.json", log_of(evaluation, plan, released))
    return output


def log_of(evaluation: Evaluation, plan: Plan, released: bool) -> str:
    """The log as JSON. Its one scorer has accuracy by number of operations and random guessing as metrics.

    Source of the format: inspect_ai.log.EvalLog, version 2.
    """
    started = str(evaluation.run.get("started") or "1970-01-01T00:00:00+00:00")
    by_example = groupby(rows(evaluation, plan, released=released), key=lambda row: row["example"])
    samples = [sample(evaluation, [*of_example]) for _, of_example in by_example]
    config = {"max_tokens": plan.constraint.max_new_tokens, "temperature": 0.0}
    spec = {
        "run_id": plan.run_id,
        "created": started,
        "task": "boxes",
        "task_id": f"boxes-{plan.protocol.name}",
        "dataset": {"name": plan.options.dataset, "samples": len(samples)},
        "model": evaluation.model,
        "config": {},
        "packages": {"entity-tracking-bench": __version__},
        "metadata": {
            "engine": evaluation.engine,
            "protocol": plan.protocol.name,
            "metric": plan.options.metric,
        },
    }
    scored = {"name": "boxes", "scorer": "boxes", "params": {}, "metrics": metrics(evaluation, plan)}
    return json.dumps(
        {
            "version": 2,
            "status": "success",
            "eval": spec,
            "plan": {"name": "plan", "steps": [{"solver": "generate", "params": {}}], "config": config},
            "results": {"total_samples": len(samples), "completed_samples": len(samples), "scores": [scored]},
            "stats": {"started_at": started, "completed_at": started, "model_usage": {}},
            "samples": samples,
        }
    )


def sample(evaluation: Evaluation, found: list[dict[str, Any]]) -> dict[str, Any]:
    """found: the rows of one example."""
    first = found[0]
    completion = evaluation.completions[first["example"]]
    prompt = first["prompt"] or "(released data, prompt not included)"
    said = {"role": "assistant", "content": completion.text, "source": "generate"}
    stop = "stop" if completion.finish_reason == "stop" else "max_tokens"
    wrong = [f"box {row['box']}: {row['answer']} ({row['error']})" for row in found if not row["correct"]]
    return {
        "id": first["example"],
        "epoch": 1,
        "input": prompt,
        "target": [row["gold"] for row in found],
        "messages": [{"role": "user", "content": prompt, "source": "input"}, said],
        "output": {"model": evaluation.model, "choices": [{"message": said, "stop_reason": stop}]},
        "scores": {
            "boxes": {
                "value": sum(row["correct"] for row in found) / len(found),
                "answer": "; ".join(str(row["answer"]) for row in found),
                "explanation": "\n".join(wrong) or "all boxes are right",
                "metadata": {"boxes": [{key: row[key] for key in BY_BOX} for row in found]},
            }
        },
        "metadata": {"scenario": first["scenario"]},
        "store": {},
        "events": [],
        "model_usage": {},
    }


def metrics(evaluation: Evaluation, plan: Plan) -> dict[str, Any]:
    """accuracy_BUCKET and random_BUCKET for each bucket, in Inspect's form of metrics."""
    shares = {f"accuracy_{bucket}": found.value for bucket, found in accuracies(evaluation).items()}
    shares |= {f"random_{bucket}": value for bucket, value in plan.baseline.items()}
    return {name: {"name": name, "value": value, "params": {}} for name, value in shares.items()}


FORMATS: dict[str, tuple[str, Callable[..., Path]]] = {  # format: (its file or folder, its writer)
    "jsonl": ("answers.jsonl", write_table),
    "parquet": ("answers.parquet", partial(write_table, kind="parquet")),
    "inspect": ("inspect", write_inspect),
}
