"""The plugin as a user runs it: the whole path on two small random models, with and without workers."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench import ROOT
from bench.boxes.datasets import PASSWORD_VARIABLE
from bench.boxes.generator import generate
from bench.boxes.write import write
from bench.store import Store

pytest_plugins = ["pytester"]

SUITE = """
name = "random"
[[models]]
name = "one"
path = "one"
[[models]]
name = "two"
path = "two"
[[pairs]]
hypothesis = "code"
base = "one"
variant = "two"
"""


@pytest.fixture
def bench_dir(pytester: pytest.Pytester, random_checkpoints: Path) -> Path:
    """A folder with a suite of two random models, and the project's own tests and configuration."""
    for name in ("one", "two"):
        shutil.copytree(random_checkpoints / name, pytester.path / name)
    (pytester.path / "suite.toml").write_text(SUITE)
    return pytester.path


def run(pytester: pytest.Pytester, *options: str, tests: str = "test_code.py") -> pytest.RunResult:
    """The project's hypothesis tests in a process of their own, asking six examples."""
    return pytester.runpytest_subprocess(
        f"--rootdir={ROOT}", f"--config-file={ROOT / 'pytest.ini'}", f"--confcutdir={ROOT}",
        "-p", "no:cacheprovider",
        str(ROOT / "tests" / "hypotheses" / tests), "--boxes-suite=suite.toml", "--boxes-store=store.sqlite",
        "--boxes-report-dir=reports", "--boxes-limit=6", "--boxes-engine=reference", *options,
    )  # fmt: skip


def latest(folder: Path, name: str) -> str:
    return (folder / "reports" / "latest" / name).read_text()


def test_a_run_ends_with_a_table_and_a_report(pytester: pytest.Pytester, bench_dir: Path) -> None:
    result = run(pytester)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*entity tracking*", "| model *", "| one *", "| two *", "| random *"])
    report = latest(bench_dir, "report.md")
    assert "## Accuracy by number of operations" in report and "one → two (code)" in report
    results = json.loads(latest(bench_dir, "results.json"))
    assert set(results["models"]) == {"one", "two"}
    assert results["metadata"]["protocol"].startswith("paper")
    assert {entry["comparison"]["bucket"] for entry in results["verdicts"]} >= {"ops0", "ops1", "ops1plus"}


def test_workers_find_the_same_figures(pytester: pytest.Pytester, bench_dir: Path) -> None:
    assert run(pytester).ret == 0
    alone = latest(bench_dir, "accuracy.csv")
    assert run(pytester, "-n2", "--boxes-store=other.sqlite").ret == 0
    assert latest(bench_dir, "accuracy.csv") == alone
    assert len(list(csv.DictReader(alone.splitlines()))) >= 6


@pytest.mark.parametrize("given", ["option", "environment"])
def test_a_password_is_kept_nowhere(
    given: str, pytester: pytest.Pytester, bench_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [path] = write({"test": generate(2, seed=7)}, bench_dir, password="correct-horse")
    options = ["--boxes-dataset-password=correct-horse"] if given == "option" else []
    if given == "environment":
        monkeypatch.setenv(PASSWORD_VARIABLE, "correct-horse")
    result = run(
        pytester, f"--boxes-dataset=release:{path}/test-t5.jsonl", "--boxes-limit=1", "-n1", "-v",
        "--boxes-save=night", "--junitxml=junit.xml", *options,
    )  # fmt: skip
    assert result.ret == 0
    assert "correct-horse" not in result.stdout.str() + result.stderr.str()
    found = [file for file in bench_dir.rglob("*") if file.is_file()]
    assert {"junit.xml", "store.sqlite", "report.html", "night.json"} <= {file.name for file in found}
    assert not [file for file in found if b"correct-horse" in file.read_bytes()]


CORES = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(("workers", "threads"), [("-n0", None), ("-n2", max(1, CORES // 2))])
def test_workers_share_the_cores_and_who_is_alone_is_told_nothing(
    workers: str, threads: int | None, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    said = threads and str(threads)
    pytester.makepyfile(f"""
        import os, torch
        def test_threads():
            assert os.environ.get("OMP_NUM_THREADS") == {said!r}
            assert torch.get_num_threads() == ({threads} or torch.get_num_threads())
    """)
    result = pytester.runpytest_subprocess("-p", "bench.plugin", workers)
    assert result.parseoutcomes() == {"passed": 1}


def test_a_second_run_loads_no_model_and_imports_no_torch(pytester: pytest.Pytester, bench_dir: Path) -> None:
    pytester.makepyfile(
        watch="""
        import sys
        def pytest_unconfigure():
            print("torch was imported" if "torch" in sys.modules else "no torch")
    """
    )
    asked = ("-m", "code_hypothesis", "-p", "watch")
    first = run(pytester, *asked, tests="")
    before = latest(bench_dir, "accuracy.csv")
    again = run(pytester, *asked, tests="")
    assert "prompt/s" in first.stderr.str() and "prompt/s" not in again.stderr.str()  # the bar of a decoding
    assert "torch was imported" in first.stdout.str() and "no torch" in again.stdout.str()
    assert again.ret == first.ret and latest(bench_dir, "accuracy.csv") == before


def test_where_no_test_is_named_only_the_benchmark_is_collected() -> None:
    """The tests of the suite itself import torch, and who runs the benchmark does not wait for them."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    files = {line.partition("::")[0] for line in said.splitlines() if "::" in line}
    assert {str(Path(file).parent) for file in files} == {"tests/hypotheses"}


def test_other_protocols_are_kept_apart(pytester: pytest.Pytester, bench_dir: Path) -> None:
    assert run(pytester).ret == 0
    paper = json.loads(latest(bench_dir, "results.json"))
    assert run(pytester, "--boxes-protocol=strict").ret == 0
    strict = json.loads(latest(bench_dir, "results.json"))
    assert paper["metadata"]["protocol"] != strict["metadata"]["protocol"]
    assert paper["models"]["one"]["fingerprint"]["regex"] != strict["models"]["one"]["fingerprint"]["regex"]


def test_single_buckets_and_models_can_be_chosen(pytester: pytest.Pytester, bench_dir: Path) -> None:
    result = run(pytester, "--boxes-buckets=ops1plus", "--boxes-models=one,two")
    assert result.parseoutcomes() == {"skipped": 1, "xfailed": 1}  # no live published pair; one case


@pytest.mark.parametrize(
    ("option", "says"),
    [
        pytest.param("--boxes-suite=nowhere", "nowhere", id="suite"),
        pytest.param("--boxes-models=gpt-5", "unknown model 'gpt-5'", id="model"),
        pytest.param("--boxes-protocol=loose", "unknown protocol 'loose'", id="protocol"),
        pytest.param("--boxes-buckets=ops9", "unknown bucket 'ops9'", id="bucket"),
        pytest.param("--boxes-engine=warp", "unknown engine 'warp'", id="engine"),
        pytest.param("--boxes-version=klingon", "unknown version of the task 'klingon'", id="version"),
        pytest.param("--boxes-batch-size=-3", "neither a positive number nor auto", id="batch size"),
        pytest.param("--boxes-limit=0", "leaves no example", id="limit"),
        pytest.param("--boxes-dataset=wikipedia", "unknown data set 'wikipedia'", id="data set"),
        pytest.param("--boxes-model-args=colour=red", "unknown model argument 'colour'", id="model argument"),
        pytest.param("--boxes-report-dir=suite.toml/reports", "cannot write reports", id="report folder"),
    ],
)
def test_bad_input_is_one_line_and_status_4(
    pytester: pytest.Pytester, bench_dir: Path, option: str, says: str
) -> None:
    result = run(pytester, option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert says in result.stderr.str()
    assert "Traceback" not in result.stderr.str() + result.stdout.str()


def test_a_missing_weights_folder_is_a_usage_error(pytester: pytest.Pytester, bench_dir: Path) -> None:
    shutil.rmtree(bench_dir / "two")
    result = run(pytester)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert re.search(r"ERROR: .*two", result.stderr.str())


@pytest.fixture
def checkout(pytester: pytest.Pytester, bench_dir: Path) -> Path:
    """A checkout of its own, with nothing in it but what pytest reads and the random models."""
    for name in ("pytest.ini", "conftest.py"):
        shutil.copy(ROOT / name, bench_dir)
    hypotheses = bench_dir / "tests" / "hypotheses"
    hypotheses.mkdir(parents=True)
    shutil.copy(ROOT / "tests" / "hypotheses" / "test_code.py", hypotheses)
    return bench_dir


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(
            "--boxes-suite suite.toml --boxes-store store.sqlite --boxes-report-dir reports", id="inside"
        ),
        pytest.param(
            "tests/hypotheses --boxes-suite {elsewhere}/suite.toml --boxes-store {elsewhere}/store.sqlite "
            "--boxes-report-dir {elsewhere}",
            id="elsewhere, and a test named",
        ),
        pytest.param(
            "--boxes-suite={elsewhere}/suite.toml --boxes-store={elsewhere}/store.sqlite "
            "--boxes-report-dir={elsewhere}",
            id="elsewhere, with an equals sign",
        ),
    ],
)
def test_an_options_value_is_not_taken_for_a_test(
    options: str, pytester: pytest.Pytester, checkout: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """pytest looks for its configuration before it knows our options: beside every path that is there."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    suite = SUITE.replace('path = "', f'path = "{checkout}/')
    (elsewhere / "suite.toml").write_text(suite)
    Store(elsewhere / "store.sqlite").close()
    words = options.format(elsewhere=elsewhere).split()
    result = pytester.run(
        sys.executable, "-m", "pytest", "--collect-only", "-m", "code_hypothesis", *words,
        "--boxes-buckets", "ops1plus", "--boxes-limit", "4",
    )  # fmt: skip
    assert result.ret == 0
    result.stdout.fnmatch_lines([f"rootdir: {checkout}", "configfile: pytest.ini", "*[[]one..two-ops1plus]*"])


@pytest.mark.parametrize(
    ("gpus", "per_worker", "workers"), [("0,1,2,3", 1, 4), ("0,1,2,3", 2, 2), ("0,1,2", 2, 1)]
)
def test_as_many_workers_as_leases_of_gpus_are_started(
    gpus: str, per_worker: int, workers: int, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", gpus)
    pytester.makepyfile("def test_nothing(): pass")
    options = ("-n", "auto", f"--boxes-gpus-per-worker={per_worker}")
    result = pytester.runpytest_subprocess("-p", "bench.plugin", *options)
    result.stdout.fnmatch_lines([f"{workers} worker*", "*1 passed*"])


def test_help_names_every_option_with_its_default(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess(f"--rootdir={ROOT}", f"--confcutdir={ROOT}", str(ROOT), "--help")
    for option in ("suite", "engine", "protocol", "dataset", "limit", "batch-size", "store", "report-dir"):
        assert f"--boxes-{option}=" in result.stdout.str()


def test_a_published_model_run_live_stands_beside_its_published_figures(
    pytester: pytest.Pytester, bench_dir: Path
) -> None:
    """Random models are right on nothing: as published for one of them, far from it for the other."""
    (bench_dir / "published.csv").write_text(
        "model,num_ops,accuracy_percent,n\none,0,0.0,1303\none,1,0.0,1410\ntwo,0,99.0,1303\ntwo,1,95.0,1410\n"
    )
    (bench_dir / "random.csv").write_text("num_ops,accuracy_percent\n0,41.06\n1,17.85\n")
    tables = 'recorded = "published.csv"\nrecorded_baseline = "random.csv"\n'
    (bench_dir / "suite.toml").write_text(SUITE.replace("[[models]]", tables + "[[models]]", 1))
    agreement = run(pytester, "--boxes-buckets=ops0,ops1", tests="test_agrees_with_published.py")
    assert agreement.parseoutcomes() == {"passed": 2, "failed": 2}
    agreement.stdout.fnmatch_lines(["*departs from the published figure: two is right on 0.0%*99.0%*"])
    judged = run(pytester, "--boxes-buckets=ops0,ops1")
    assert judged.parseoutcomes()["passed"] >= 2  # what is published is judged beside what was run
    section = latest(bench_dir, "report.md").partition("## Beside the published figures")[2]
    as_published = [line for line in section.splitlines() if line.startswith("| as published")]
    assert ["≠" in line for line in as_published] == [False, True] and "99.0 ≠" in as_published[1]
