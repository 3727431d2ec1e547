"""A GPU -> a finding per check: does each part of the suite that needs a GPU work on this one?

The checks take under five minutes on a data-centre card. They need no download, because they use the embedded
models and one model with random weights.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch

from bench import models
from bench.decoding import Engine, engine_for
from bench.decoding.constraint import constraint
from bench.decoding.reference import ReferenceEngine
from bench.decoding.tree.engine import SpeculativeEngine
from bench.models.machine import lacks_package
from bench.models.suites import load_suite
from bench.outputs import write_text
from bench.records import Completion, ModelEntry, Prompt
from bench.speed import benchmark, side_by_side
from bench.task.examples import evaluation_set
from bench.task.prompts import PROTOCOLS, build

PROMPTS = 40  # per embedded model
LARGE_RUN = "--err 0.1 --scenarios 5 --repeats 1"  # 5 scenarios of 12 states: 60 prompts


class NotRun(Exception):
    """This machine cannot make a check. The text says what is missing."""


def identity(device: str, args: Namespace) -> str:
    """Both engines on every embedded model in float32."""
    same = total = 0
    for entry in load_suite("embedded").models.values():
        loaded = models.load(replace(entry, dtype="float32"), [device])
        one, other = (complete(engine(loaded, kind)) for kind in (ReferenceEngine, SpeculativeEngine))
        same += sum(one[name] == other[name] for name in one)
        total += len(one)
    return require(same == total, f"{same} of {total} answers identical, token for token")


def probe(device: str, args: Namespace) -> str:
    """The engine that "auto" chooses in bfloat16."""
    loaded = models.load(replace(tiny(), dtype="bfloat16"), [device])
    chosen = engine_for("auto", loaded.model, loaded.tokenizer, paper())
    return f"{chosen.name}: {chosen.reason}"


def quantized(bits: Literal["8bit", "4bit"], device: str, args: Namespace) -> str:
    """Load a model in 8 or 4 bits, and let it answer."""
    entry = replace(tiny(), quantization=bits)
    if lack := lacks_package(entry, 1):
        raise NotRun(lack)
    if device == "cpu":
        raise NotRun("needs a GPU.")
    loaded = models.load(entry, [device])
    return f"{len(complete(engine(loaded, SpeculativeEngine)))} prompts answered"


def workers(device: str, args: Namespace) -> str:
    """Two pytest workers, each with its own lease."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable, "-m", "pytest", "-q", "-n", "2", "-m", "code_hypothesis",
            "-p", "no:cacheprovider", "--boxes-suite=embedded", "--boxes-limit=20", "--boxes-buckets=ops0",
            f"--boxes-store={folder}/store.sqlite", f"--boxes-report-dir={folder}/reports",
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=240)
        reports = list(Path(folder).glob("reports/*/results.json"))
    last = (done.stdout.strip() or done.stderr.strip() or "no output").splitlines()[-1]
    return require(bool(reports) and done.returncode in (0, 1), f"exit {done.returncode}: {last}")


def out_of_memory(device: str, args: Namespace) -> str:
    """Limit the memory of this process. The packs must be halved, and the answers must not change."""
    if device == "cpu":
        raise NotRun("needs a GPU.")
    loaded = models.load(replace(tiny(), dtype="float32"), [device])
    expected = complete(engine(loaded, SpeculativeEngine))
    torch.cuda.empty_cache()
    held, total = torch.cuda.memory_allocated(device), torch.cuda.get_device_properties(device).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, (held + 64 * 2**20) / total), device)
    try:
        small = engine(loaded, SpeculativeEngine)
        before = small.pack_tokens
        answers = complete(small)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)
    return require(
        answers == expected, f"packs of {before} tokens became {small.pack_tokens}, {len(answers)} answers"
    )


def large(device: str, args: Namespace) -> str:
    """A model of 7B shape with random weights, against outlines in batches of 1 and 16."""
    parser = ArgumentParser()
    benchmark.add_arguments(parser)
    dtype = "float32" if device == "cpu" else "bfloat16"
    options = f"{LARGE_RUN} --shape {args.shape} --device {device} --dtype {dtype}"
    result = side_by_side.measured(parser.parse_args(options.split()))
    if args.json:
        write_text(args.json, json.dumps(result, indent=1) + "\n")
    seconds, ratios = result["seconds_per_prompt"], result["ratios"]
    floor = result["machine"].get("floor_seconds")
    return (
        f"{1000 * seconds['speculative']:.0f} ms per prompt; outlines in batches of 16 takes "
        f"{ratios['reference_batch16/speculative']:.1f} times as long, one by one "
        f"{ratios['reference_batch1/speculative']:.1f} times; {result['identical']} of {result['compared']} "
        f"answers identical" + (f"; counted floor {floor:.2f} s" if floor else "")
    )


CHECKS: dict[str, Callable[[str, Namespace], str]] = {
    "both engines, float32": identity,
    "engine in bfloat16": probe,
    "8 bits": partial(quantized, "8bit"),
    "4 bits": partial(quantized, "4bit"),
    "pytest -n 2": workers,
    "out of memory": out_of_memory,
    "large model": large,
}


def tiny() -> ModelEntry:
    return load_suite("embedded").models["tiny-base"]


def paper() -> Any:
    return constraint(PROTOCOLS["paper"])


def engine(loaded: models.LoadedModel, kind: Callable[..., Any]) -> Any:
    return kind(loaded.model, loaded.tokenizer, paper())


def complete(engine: Engine) -> dict[str, Completion]:
    prompts: list[Prompt] = [build(example, PROTOCOLS["paper"]) for example in evaluation_set()[:PROMPTS]]
    return {prompt.example_id: done for pack in engine.complete(prompts) for prompt, done in pack}


def require(holds: bool, finding: str) -> str:
    """The finding if the check holds. Otherwise raises RuntimeError with the finding."""
    if not holds:
        raise RuntimeError(finding)
    return finding
