"""A run's answers in files of other tools, and its figures in a tracker."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.commands import main
from bench.exports.trackers import TRACKERS, hand_on, metrics_of
from bench.records import Results
from bench.report.files import write
from bench.run import options
from bench.run.options import Options
from bench.run.plans import metadata_of
from bench.run.session import Session
from bench.scoring.verdicts import families
from fixtures.environments import build, own_environment

COLUMNS = {"model", "run", "bucket", "prompt", "gold", "answer", "correct", "error"}
READ_INSPECT = """
import json, sys
from inspect_ai.log import read_eval_log
log = read_eval_log(sys.argv[1])
[score] = log.results.scores
print(json.dumps({
    "status": log.status, "model": log.eval.model, "samples": len(log.samples),
    "completion": log.samples[0].output.completion, "input": log.samples[0].input[:21],
    "accuracy_ops1plus": score.metrics["accuracy_ops1plus"].value,
}))
"""


@dataclass(frozen=True)
class Made:
    """A run of two random models on four examples, its store and its report."""

    session: Session
    results: Results
    folder: Path
    store: Path

    def export(self, kind: str, output: Path | None = None) -> int:
        where = [] if output is None else ["--output", str(output)]
        return main(["export", str(self.folder), "--format", kind, "--store", str(self.store), *where])


@pytest.fixture(scope="module")
def made(session_of: Callable[..., Session], tmp_path_factory: pytest.TempPathFactory) -> Made:
    place = tmp_path_factory.mktemp("run")
    session = session_of(place / "store.sqlite")
    session.evaluate("one", "two")
    results = session.results(families(session.suite.pairs), metadata_of(session.suite, session.plan))
    folder = write(results, place / "reports" / "night", session.suite)
    return Made(session, results, folder, place / "store.sqlite")


def read_jsonl(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_every_answer_is_a_row(made: Made) -> None:
    assert made.export("jsonl") == 0
    rows = read_jsonl(made.folder / "answers.jsonl")
    assert len(rows) == 2 * 4 * 7 and set(rows[0]) >= COLUMNS
    assert {row["run"] for row in rows} == {"night"}
    for name, evaluation in made.results.evaluations.items():
        right = sum(row["correct"] is True for row in rows if row["model"] == name)
        assert right == sum(score.correct for score in evaluation.scores)


def test_a_run_logs_the_rows_that_export_writes(made: Made, tmp_path: Path) -> None:
    lines = hand_on(Options(log_samples=True), made.results, made.session.plan, tmp_path)
    assert lines == [f"answers: {tmp_path / 'answers.jsonl'}"]
    assert made.export("jsonl", tmp_path / "exported.jsonl") == 0
    key = lambda row: (row["model"], row["example"], row["box"])  # noqa: E731
    logged, exported = (
        sorted(read_jsonl(tmp_path / name), key=key) for name in ("answers.jsonl", "exported.jsonl")
    )
    assert logged == exported


def test_parquet_holds_the_same_rows(made: Made, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs pip install pyarrow")
    assert made.export("jsonl", tmp_path / "rows.jsonl") == 0
    assert made.export("parquet", tmp_path / "rows.parquet") == 0
    table = parquet.read_table(tmp_path / "rows.parquet")
    assert table.to_pylist() == read_jsonl(tmp_path / "rows.jsonl")
    assert {str(table.schema.field(name).type) for name in ("box", "correct", "gold")} == {
        "int64", "bool", "string",
    }  # fmt: skip


def test_parquet_without_pyarrow_is_said_in_one_line(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert made.export("parquet", tmp_path / "rows.parquet") == 4
    [line] = capsys.readouterr().err.splitlines()
    assert "pip install" in line and "pyarrow" in line
    assert list(tmp_path.iterdir()) == []


def test_a_log_of_inspect_has_a_sample_an_example(made: Made, tmp_path: Path) -> None:
    assert made.export("inspect", tmp_path) == 0
    log = json.loads((tmp_path / "one.json").read_text())
    assert len(log["samples"]) == 4 and log["status"] == "success"
    [score] = log["results"]["scores"]
    assert score["metrics"]["accuracy_ops1plus"]["value"] == made.results.accuracies["one"]["ops1plus"].value
    for sample in log["samples"]:
        boxes = sample["scores"]["boxes"]["metadata"]["boxes"]
        assert sample["scores"]["boxes"]["value"] == sum(box["correct"] for box in boxes) / 7
        assert sample["target"] == [box["gold"] for box in boxes]


@pytest.mark.harness
@pytest.mark.nightly
def test_the_real_inspect_reads_its_log(made: Made, tmp_path: Path) -> None:
    given = os.environ.get("BOXES_HARNESS_PYTHON")
    python = given or build("harness", "lm_eval[hf]==0.4.13 inspect_ai==0.3.285")
    made.export("inspect", tmp_path)
    command = [python, "-c", READ_INSPECT, str(tmp_path / "one.json")]
    done = subprocess.run(command, capture_output=True, text=True, env=own_environment())
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    first = made.session.plan.examples[0]
    assert found == {
        "status": "success",
        "model": "one",
        "samples": 4,
        "completion": made.results.evaluations["one"].completions[first.id].text,
        "input": "Given the description",
        "accuracy_ops1plus": made.results.accuracies["one"]["ops1plus"].value,
    }


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["export", "gone", "--report-dir", "."], "no report.html of gone"),
        (["export", "{folder}", "--store", "gone.sqlite"], "no store at gone.sqlite"),
    ],
)
def test_a_run_or_store_that_is_not_there_is_said(
    made: Made, arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([argument.format(folder=made.folder) for argument in arguments]) == 4
    [line] = capsys.readouterr().err.splitlines()
    assert says in line


def test_a_tracker_gets_every_accuracy_and_difference(made: Made) -> None:
    found = metrics_of(made.results)
    assert found["one/accuracy_ops1plus"] == made.results.accuracies["one"]["ops1plus"].value
    [verdict] = [entry for entry in made.results.verdicts if entry.comparison.bucket == "ops1plus"]
    assert found["one..two/difference_ops1plus"] == verdict.comparison.difference.value
    assert all(isinstance(value, float) for value in found.values())


def test_a_tracker_that_fails_costs_a_line(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options, "find_spec", lambda name: True)

    def fails(results: Results, folder: Path) -> str:
        raise ConnectionError("no route to host")

    monkeypatch.setitem(TRACKERS, "mlflow", fails)
    [line] = hand_on(Options(track="mlflow"), made.results, made.session.plan, made.folder)
    assert line == "not tracked: mlflow: ConnectionError: no route to host"


def test_a_tracker_that_is_not_there_is_said_before_anything_runs() -> None:
    with pytest.raises(ValueError, match="Choose from mlflow, wandb"):
        Options(track="tensorboard")
    if "wandb" not in sys.modules:
        with pytest.raises(ValueError, match="Run pip install wandb"):
            Options(track="wandb")


@pytest.mark.harness
@pytest.mark.nightly
def test_mlflow_keeps_the_figures_and_the_report(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = pytest.importorskip("mlflow", reason="needs pip install mlflow-skinny")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri((tmp_path / "mlruns").as_uri())
    [line] = hand_on(Options(track="mlflow"), made.results, made.session.plan, made.folder)
    assert line.startswith("tracked: MLflow run "), line
    [run] = mlflow.search_runs(output_format="list")
    expected = metrics_of(made.results)
    assert run.data.metrics == pytest.approx(expected)
    kept = {path.path for path in mlflow.MlflowClient().list_artifacts(run.info.run_id)}
    assert {"report.html", "results.json"} <= kept


@pytest.mark.harness
@pytest.mark.nightly
def test_wandb_takes_the_same_offline(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason="needs pip install wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    [line] = hand_on(Options(track="wandb"), made.results, made.session.plan, made.folder)
    assert line.startswith("tracked: W&B run "), line
    assert list(tmp_path.glob("wandb/offline-run-*/*.wandb"))
