"""python -m bench gpu-check: does each part of the suite that needs a GPU work on this one?

The checks take under five minutes on a data-centre card. They need no download, because they use the embedded
models and one model with random weights.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from tabulate import tabulate

from bench import models
from bench.decoding import Engine
from bench.inputs import InputError
from bench.models.machine import lacks_package
from bench.models.suites import load_suite
from bench.outputs import check_output, write_text
from bench.records import Completion, ModelEntry, Prompt
from bench.speed import benchmark
from bench.task.examples import evaluation_set
from bench.task.prompts import PROTOCOLS, build, constraint

PROMPTS = 40  # per embedded model
LARGE_RUN = "--err 0.1 --scenarios 5 --repeats 1"  # 5 scenarios of 12 states: 60 prompts


class NotRun(Exception):
    """This machine cannot make a check. The text says what is missing."""


def identity(args: Namespace) -> str:
    """Both engines on every embedded model in float32."""
    same = total = 0
    for entry in load_suite("embedded").models.values():
        loaded = models.load(replace(entry, dtype="float32"), [args.device])
        one, other = (complete(engine(loaded, kind)) for kind in ("reference", "speculative"))
        same += sum(one[name] == other[name] for name in one)
        total += len(one)
    return require(same == total, f"{same} of {total} answers identical, token for token")


def probe(args: Namespace) -> str:
    """The engine that "auto" chooses in bfloat16."""
    loaded = models.load(replace(tiny(), dtype="bfloat16"), [args.device])
    chosen = engine(loaded, "auto")
    return f"{chosen.name}: {chosen.reason}"


def quantized(bits: Literal["8bit", "4bit"], args: Namespace) -> str:
    """Load a model in 8 or 4 bits, and let it answer."""
    entry = replace(tiny(), quantization=bits)
    if lack := lacks_package(entry, 1):
        raise NotRun(lack)
    if args.device == "cpu":
        raise NotRun("needs a GPU.")
    loaded = models.load(entry, [args.device])
    answers = complete(engine(loaded, "speculative"))
    return f"{len(answers)} prompts answered"


def workers(args: Namespace) -> str:
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


def out_of_memory(args: Namespace) -> str:
    """Limit the memory of this process. The packs must be halved, and the answers must not change."""
    if args.device == "cpu":
        raise NotRun("needs a GPU.")
    import torch

    loaded = models.load(replace(tiny(), dtype="float32"), [args.device])
    expected = complete(engine(loaded, "speculative"))
    torch.cuda.empty_cache()
    held = torch.cuda.memory_allocated(args.device)
    total = torch.cuda.get_device_properties(args.device).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, (held + 64 * 2**20) / total), args.device)
    try:
        small = engine(loaded, "speculative")
        before = small.pack_tokens
        answers = complete(small)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, args.device)
    return require(
        answers == expected, f"packs of {before} tokens became {small.pack_tokens}, {len(answers)} answers"
    )


def large(args: Namespace) -> str:
    """A model of 7B shape with random weights, against outlines in batches of 1 and 16."""
    from bench.speed.side_by_side import measured

    parser = ArgumentParser()
    benchmark.add_arguments(parser)
    dtype = "float32" if args.device == "cpu" else "bfloat16"
    options = f"{LARGE_RUN} --shape {args.shape} --device {args.device} --dtype {dtype}"
    result = measured(parser.parse_args(options.split()))
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


CHECKS: dict[str, Callable[[Namespace], str]] = {
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


def engine(loaded: models.LoadedModel, name: str) -> Any:
    from bench.decoding.select import engine_for  # imports torch

    return engine_for(name, loaded.model, loaded.tokenizer, constraint(PROTOCOLS["paper"]))


def complete(engine: Engine) -> dict[str, Completion]:
    prompts: list[Prompt] = [build(example, PROTOCOLS["paper"]) for example in evaluation_set()[:PROMPTS]]
    return {prompt.example_id: done for pack in engine.complete(prompts) for prompt, done in pack}


def require(holds: bool, finding: str) -> str:
    """The finding if the check holds. Otherwise raises RuntimeError with the finding."""
    if not holds:
        raise RuntimeError(finding)
    return finding


def add_arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("--device", default="cuda:0", help="(default: %(default)s)")
    add("--shape", choices=benchmark.SHAPES, default="7b", help="the large model (default: 7b)")
    add("--json", type=Path, metavar="FILE", help="write the large model's figures to FILE")


def run(args: Namespace) -> int:
    """Make every check and print the table. The exit status is 1 if a check fails."""
    if args.json:
        check_output(args.json)
    import torch

    if args.device != "cpu" and not torch.cuda.is_available():
        raise InputError("no GPU is visible. Run gpu-check on a machine with a GPU, or with --device=cpu.")
    rows = [row_of(name, check, args) for name, check in CHECKS.items()]
    print(tabulate(rows, ["check", "result", "finding", "s"], tablefmt="github", floatfmt=".0f"))
    return int(any(row[1] == "failed" for row in rows))


def row_of(name: str, check: Callable[[Namespace], str], args: Namespace) -> list[Any]:
    start = time.perf_counter()
    try:
        result, finding = "ok", check(args)
    except NotRun as lack:
        result, finding = "not run", str(lack)
    except Exception as error:  # one check must not hide the others
        result, finding = "failed", f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    return [name, result, finding, time.perf_counter() - start]
