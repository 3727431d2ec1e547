"""Training, leak check, accuracy -> the model card beside the weights; the suite's recorded figures."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from pathlib import Path

import torch

from bench import DATA
from bench.outputs import replacing, write_text
from bench.records import BUCKETS, Accuracy, ModelEntry
from bench.run.evaluate import evaluate
from bench.run.plans import Plan
from bench.scoring.stats import accuracy_of
from bench.store import Store
from bench.task.examples import evaluation_set
from bench.training.arms import arm_of
from bench.training.data import LeakCheck
from bench.training.mixtures import MIXTURES
from bench.training.train import Training, has_bfloat16

RECORDED = DATA / "embedded_accuracy.csv"
COLUMNS = ("model", "bucket", "accuracy_percent", "n")
CARD = """# {name}

A Llama-architecture model of {parameters:,} parameters with a byte-level BPE tokenizer, {origin}, by
`python -m bench train-tiny --arm {arm} --seed {seed}{options}`.
It is only meant for testing this benchmark.

- {steps:,} steps, {tokens:,} tokens, seed {seed}, {minutes:.0f} minutes on {machine}.
- Muon ({muon_lr}) for matrices, AdamW ({adam_lr}) for embeddings and norms, linear decay, {precision}.
  Mean loss of the last {last} steps: {loss:.4f}.
- Evaluation set: of {leaks.documents:,} documents read, {leaks.states:,} sentences that state a world were
  looked up by sha256; {leaks.leaked} are an evaluation example's initial state or answer.

| mixture | corpora, by documents | steps | tokens | row | batch |
|---|---|---|---|---|---|
{stages}

Accuracy on the evaluation set (protocol `paper`, float32):

| bucket | accuracy, % | queries |
|---|---|---|
{rows}
"""
LAST_STEPS = 50


def measure(folder: Path, chat: bool) -> dict[str, Accuracy]:
    """Accuracy in each bucket of the evaluation set, measured like any model of a suite."""
    entry = ModelEntry(folder.name, str(folder), dtype="float32", chat=chat)
    plan = Plan(tuple(evaluation_set()))
    evaluation = evaluate(entry, plan, Store(":memory:"), wait=0)
    return {bucket: accuracy_of(evaluation.scores, bucket) for bucket in BUCKETS}


def write_card(
    folder: Path, arm_name: str, tokens: int | None, training: Training, found: LeakCheck, measured: Mapping
) -> None:
    """Write README.md: the model, its training data and its accuracy."""
    arm = arm_of(arm_name, tokens)
    threads = f"{torch.get_num_threads()} of {os.cpu_count()} CPU cores"
    kind = training.model.device.type
    machine = threads if kind == "cpu" else torch.cuda.get_device_name()
    options = "" if tokens is None else f" --tokens {tokens}"
    if arm.parent is None:
        options += f" --size {training.what['size']}"
    stages = "\n".join(
        f"| {stage.mixture} | {contents(stage.mixture)} | {stage.steps} "
        f"| {stage.steps * stage.batch_tokens:,} "
        f"| {stage.length} | {stage.batch_tokens} |"
        for stage in arm.stages
    )
    rows = "\n".join(f"| {bucket} | {100 * cell.value:.1f} | {cell.n} |" for bucket, cell in measured.items())
    write_text(
        folder / "README.md",
        CARD.format(
            name=folder.name,
            arm=arm_name,
            options=options,
            origin=f"`tiny-{arm.parent}`, trained further" if arm.parent else "trained from scratch",
            parameters=sum(weight.numel() for weight in training.model.parameters()),
            seed=training.what["seed"],
            steps=training.step,
            tokens=training.tokens,
            minutes=training.seconds / 60,
            machine=machine,
            muon_lr=arm.muon_lr,
            adam_lr=arm.adam_lr,
            precision="bfloat16 autocast" if has_bfloat16(kind) else "float32",
            last=LAST_STEPS,
            loss=sum(training.losses[-LAST_STEPS:]) / len(training.losses[-LAST_STEPS:]),
            stages=stages,
            leaks=found,
            rows=rows,
        ),
    )


def contents(mixture: str) -> str:
    """The corpora of a mixture: "80% prompts, 20% stories"."""
    return ", ".join(
        f"{share:.0%} {corpus.__name__.replace('_', ' ')}" for share, corpus in MIXTURES[mixture]
    )


def record(model: str, measured: Mapping[str, Accuracy], path: Path = RECORDED) -> None:
    """Replace a model's recorded figures in the suite."""
    rows: list[dict[str, object]] = []
    if path.exists():
        with path.open(encoding="utf-8", newline="") as lines:
            rows = [row for row in csv.DictReader(lines) if row["model"] != model]
    rows += [
        {"model": model, "bucket": bucket, "accuracy_percent": f"{100 * cell.value:.2f}", "n": cell.n}
        for bucket, cell in measured.items()
        if bucket != "ops1plus"  # computed from the others when it is read
    ]
    rows.sort(key=lambda row: (row["model"], row["bucket"]))
    with replacing(path) as fresh, fresh.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.DictWriter(lines, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
