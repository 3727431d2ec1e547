"""The exported tasks in the real lm-evaluation-harness and Inspect, on tiny-tracking without a constraint.

$BOXES_HARNESS_PYTHON names the Python of an environment that has both; without it one is built.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

import bench
from bench import models
from bench.commands import main
from bench.exports.boxes import buckets_of, read_jsonl, score
from bench.models.suites import load_suite
from fixtures.environments import build, own_environment

pytestmark = [pytest.mark.harness, pytest.mark.nightly]
REQUIREMENTS = "lm_eval[hf]==0.4.13 inspect_ai==0.3.285"
LIMIT = 16
MODEL = bench.FIXTURES / "tiny" / "tiny-tracking"


@pytest.fixture(scope="module")
def python() -> Path:
    given = os.environ.get("BOXES_HARNESS_PYTHON")
    return Path(given) if given else build("harness", REQUIREMENTS)


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("task")
    for harness in ("lm-eval", "inspect"):
        assert main(["export-task", harness, "--out", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def expected(task: Path) -> dict[str, float]:
    """Accuracy by bucket of plain greedy decoding, read and scored here."""
    loaded = models.load(load_suite("embedded").models["tiny-tracking"], ["cpu"])
    found: dict[str, list[bool]] = {}
    for doc in read_jsonl(task / "boxes.jsonl")[:LIMIT]:
        text = greedy(loaded, doc["prompt"])
        for box, (correct, _) in zip(doc["boxes"], score(doc, text), strict=True):
            for bucket in buckets_of(box["num_ops"]):
                found.setdefault(f"accuracy_{bucket}", []).append(correct)
    return {name: sum(values) / len(values) for name, values in found.items()}


def greedy(loaded: models.LoadedModel, prompt: str) -> str:
    """100 tokens of transformers' own greedy decoding, up to the first blank line."""
    inputs = loaded.tokenizer(prompt, return_tensors="pt")
    with torch.inference_mode():
        [row] = loaded.model.generate(**inputs, max_new_tokens=100, do_sample=False)
    written = row[inputs.input_ids.shape[1] :]
    return loaded.tokenizer.decode(written, skip_special_tokens=True).partition("\n\n")[0]


def run(python: Path, folder: Path, *command: str) -> None:
    """Run in the other environment, which has this checkout's package without its dependencies."""
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(folder / "hf")}
    environ = own_environment() | {"PYTHONPATH": str(bench.ROOT), "INSPECT_DISPLAY": "plain"} | offline
    done = subprocess.run(
        [python.parent / command[0], *command[1:]], cwd=folder, env=environ, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def accuracies(found: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Of lm_eval's "accuracy_3,none" and "accuracy_3_stderr,none" the first, and Inspect's as they are."""
    for name, value in found.items():
        short = name.removesuffix(",none")
        if short.startswith("accuracy_") and "stderr" not in short:
            yield short, value


def test_lm_eval_scores_as_we_do(
    python: Path, task: Path, expected: dict[str, float], tmp_path: Path
) -> None:
    run(
        python, tmp_path, "lm_eval", "--include_path", str(task), "--tasks", "boxes", "--model", "hf",
        "--model_args", f"pretrained={MODEL},dtype=float32", "--device", "cpu", "--batch_size", "8",
        "--limit", str(LIMIT), "--output_path", "out",
    )  # fmt: skip
    [results] = tmp_path.glob("out/*/results_*.json")
    found = dict(accuracies(json.loads(results.read_text())["results"]["boxes"]))
    assert found == pytest.approx(expected)


def test_inspect_scores_as_we_do(
    python: Path, task: Path, expected: dict[str, float], tmp_path: Path
) -> None:
    run(
        python, task, "inspect", "eval", "boxes_inspect.py", "--model", "hf/tiny-tracking",
        "-M", f"model_path={MODEL}", "-M", "device=cpu", "-M", "torch_dtype=float32", "-M", "do_sample=false",
        "-M", "chat_template='{{ messages[0].content }}'", "--limit", str(LIMIT),
        "--log-format", "json", "--log-dir", str(tmp_path),
    )  # fmt: skip
    [log] = tmp_path.glob("*.json")
    [scored] = json.loads(log.read_text())["results"]["scores"]
    found = dict(accuracies({name: metric["value"] for name, metric in scored["metrics"].items()}))
    assert found == pytest.approx(expected)
