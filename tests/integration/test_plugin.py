"""The plugin as a user runs it: the whole path on two small random models, with and without workers."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench import ROOT
from bench.plugin.hooks import state_of
from bench.store import Store
from bench.task.examples import PASSWORD_VARIABLE
from bench.task.world import generate
from bench.task.write import write

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


WATCH = """
import sys
def pytest_unconfigure():
    print("torch was imported" if "torch" in sys.modules else "no torch")
"""
OPTIONS = [
    f"--rootdir={ROOT}", f"--config-file={ROOT / 'pytest.ini'}", f"--confcutdir={ROOT}",
    "-p", "no:cacheprovider", "--boxes-suite=suite.toml", "--boxes-store=store.sqlite",
    "--boxes-report-dir=reports", "--boxes-limit=6", "--boxes-engine=speculative",
]  # fmt: skip


@pytest.fixture
def bench_dir(pytester: pytest.Pytester, random_checkpoints: Path) -> Path:
    """A folder with a suite of two random models, and the project's own tests and configuration."""
    return furnish(pytester.path, random_checkpoints)


def furnish(folder: Path, checkpoints: Path) -> Path:
    for name in ("one", "two"):
        shutil.copytree(checkpoints / name, folder / name)
    (folder / "suite.toml").write_text(SUITE)
    (folder / "watch.py").write_text(WATCH)
    return folder


def run(pytester: pytest.Pytester, *options: str, tests: str = "test_code.py") -> pytest.RunResult:
    """The project's hypothesis tests in a separate process, with six examples."""
    return pytester.runpytest_subprocess(*OPTIONS, str(ROOT / "tests" / "hypotheses" / tests), *options)


def in_one_line(printed: str) -> str:
    """Join the lines that the terminal has wrapped."""
    return " ".join(printed.split())


def latest(folder: Path, name: str) -> str:
    return (folder / "reports" / "latest" / name).read_text()


@dataclass(frozen=True)
class First:
    """A run of the code hypothesis from an empty store, as with `pytest -m code_hypothesis`."""

    folder: Path
    stdout: str
    stderr: str
    status: int

    def read(self, name: str) -> str:
        return latest(self.folder, name)


@pytest.fixture(scope="module")
def first(random_checkpoints: Path, tmp_path_factory: pytest.TempPathFactory) -> First:
    folder = furnish(tmp_path_factory.mktemp("first"), random_checkpoints)
    tests = str(ROOT / "tests" / "hypotheses")
    command = [sys.executable, "-m", "pytest", *OPTIONS, tests, "-m", "code_hypothesis", "-p", "watch"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    return First(folder, done.stdout, done.stderr, done.returncode)


@pytest.fixture
def evaluated(bench_dir: Path, first: First) -> Path:
    """A folder with the first run's answers in its store."""
    shutil.copy(first.folder / "store.sqlite", bench_dir)
    return bench_dir


def test_a_run_ends_with_a_table_and_a_report(first: First) -> None:
    assert first.status == pytest.ExitCode.OK  # six examples are too few to fail a case
    printed = pytest.LineMatcher(first.stdout.splitlines())
    printed.fnmatch_lines(
        ["*entity tracking*", "*right (%)*", " one *", " two *", " random guessing *", "* one → two *"]
    )
    report = first.read("report.md")
    assert "## Accuracy by number of operations" in report and "one → two (code)" in report
    results = json.loads(first.read("results.json"))
    assert set(results["models"]) == {"one", "two"}
    assert results["metadata"]["protocol"].startswith("paper")
    assert {entry["comparison"]["bucket"] for entry in results["verdicts"]} >= {"ops0", "ops1", "ops1plus"}


def test_workers_find_the_same_figures(pytester: pytest.Pytester, bench_dir: Path, first: First) -> None:
    assert run(pytester, "-n2").ret == 0
    assert latest(bench_dir, "accuracy.csv") == first.read("accuracy.csv")
    assert len(list(csv.DictReader(first.read("accuracy.csv").splitlines()))) >= 6


def test_a_password_is_kept_nowhere(
    pytester: pytest.Pytester, bench_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [path] = write({"test": generate(2, seed=7)}, bench_dir, password="correct-horse")
    monkeypatch.setenv(PASSWORD_VARIABLE, "wrong-horse")
    result = run(
        pytester, f"--boxes-dataset=release:{path}/test-t5.jsonl", "--boxes-limit=1", "-n1", "-v",
        "--boxes-save=night", "--junitxml=junit.xml", "--boxes-dataset-password=correct-horse",
    )  # fmt: skip
    assert result.ret == 0
    assert "-horse" not in result.stdout.str() + result.stderr.str()
    found = [file for file in bench_dir.rglob("*") if file.is_file()]
    assert {"junit.xml", "store.sqlite", "report.html", "night.json"} <= {file.name for file in found}
    assert not [file for file in found if b"-horse" in file.read_bytes()]


def test_a_password_is_taken_from_the_environment(
    pytester: pytest.Pytester, bench_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [path] = write({"test": generate(2, seed=7)}, bench_dir, password="correct-horse")
    options = (
        "-p", "bench.plugin", "--boxes-suite=suite.toml", f"--boxes-dataset=release:{path}/test-t5.jsonl",
    )  # fmt: skip
    monkeypatch.setenv(PASSWORD_VARIABLE, "correct-horse")
    assert len(state_of(pytester.parseconfigure(*options)).plan.examples) == 26
    monkeypatch.setenv(PASSWORD_VARIABLE, "wrong-horse")
    with pytest.raises(pytest.UsageError, match="password"):
        pytester.parseconfigure(*options)


CORES = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(("workers", "threads"), [("-n0", None), ("-n2", max(1, CORES // 2))])
def test_workers_share_the_cores_and_who_is_alone_is_told_nothing(
    workers: str, threads: int | None, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch reads the variable at import, which comes later."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    pytester.makepyfile(f"""
        import os, sys
        def test_threads():
            assert os.environ.get("OMP_NUM_THREADS") == {threads and str(threads)!r}
            assert "torch" not in sys.modules
            if {threads}:
                import torch
                assert torch.get_num_threads() == {threads}
    """)
    result = pytester.runpytest_subprocess("-p", "bench.plugin", workers)
    assert result.parseoutcomes() == {"passed": 1}


def test_a_second_run_loads_no_model_and_imports_no_torch(
    pytester: pytest.Pytester, evaluated: Path, first: First
) -> None:
    again = run(pytester, "-m", "code_hypothesis", "-p", "watch", tests="")
    told = "Their answers are in the store"
    assert told not in in_one_line(first.stdout) and told in in_one_line(again.stdout.str())
    assert "torch was imported" in first.stdout and "no torch" in again.stdout.str()
    assert again.ret == first.status and latest(evaluated, "accuracy.csv") == first.read("accuracy.csv")


def test_where_no_test_is_named_only_the_benchmark_is_collected() -> None:
    """The suite's own tests import torch. A user of the benchmark does not wait for them."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    files = {line.partition("::")[0] for line in said.splitlines() if "::" in line}
    assert {str(Path(file).parent) for file in files} == {"tests/hypotheses"}


def test_other_protocols_are_kept_apart(pytester: pytest.Pytester, evaluated: Path, first: First) -> None:
    assert run(pytester, "--boxes-protocol=strict").ret == 0
    paper, strict = json.loads(first.read("results.json")), json.loads(latest(evaluated, "results.json"))
    assert paper["metadata"]["protocol"] != strict["metadata"]["protocol"]
    assert paper["models"]["one"]["fingerprint"]["regex"] != strict["models"]["one"]["fingerprint"]["regex"]


def test_single_buckets_and_models_can_be_chosen(pytester: pytest.Pytester, evaluated: Path) -> None:
    result = run(pytester, "--boxes-buckets=ops1plus", "--boxes-models=one,two")
    assert result.parseoutcomes() == {"xfailed": 1, "deselected": 1}  # the controls have no case here


def test_bad_input_is_one_line_and_status_4(pytester: pytest.Pytester, bench_dir: Path) -> None:
    """In a separate process. test_bad_input.py has every kind of bad input."""
    result = run(pytester, "--boxes-suite=nowhere")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert re.search(r"^ERROR: unknown suite 'nowhere'", result.stderr.str(), re.MULTILINE)
    assert "Traceback" not in result.stderr.str() + result.stdout.str()


@pytest.fixture
def checkout(pytester: pytest.Pytester, bench_dir: Path) -> Path:
    """A separate checkout that contains only the files that pytest reads and the random models."""
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
    """pytest looks for its configuration before it knows our options, beside every existing path."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    suite = SUITE.replace('path = "', f'path = "{checkout}/')
    (elsewhere / "suite.toml").write_text(suite)
    Store(elsewhere / "store.sqlite").close()
    words = options.format(elsewhere=elsewhere).split()
    result = pytester.runpytest_inprocess(
        "--collect-only", "-m", "code_hypothesis", *words,
        "--boxes-buckets", "ops1plus", "--boxes-limit", "4",
    )  # fmt: skip
    assert result.ret == 0
    result.stdout.fnmatch_lines([f"rootdir: {checkout}", "configfile: pytest.ini", "*[[]one..two-ops1plus]*"])


@pytest.fixture
def with_claims(checkout: Path) -> Path:
    """The checkout with all tests that `pytest` runs, including the paper's claims."""
    shutil.copytree(ROOT / "tests" / "hypotheses", checkout / "tests" / "hypotheses", dirs_exist_ok=True)
    return checkout


NOTHING = "Nothing of the suite random was selected by -m {}. Its pairs by marker: code_hypothesis (1)."


@pytest.mark.parametrize("marker", ["math_hypothesis", "control", "alignment_hypothesis and not control"])
def test_a_suite_without_a_case_under_the_marker_is_never_green(
    marker: str, pytester: pytest.Pytester, with_claims: Path
) -> None:
    options = ("-n0", "--boxes-suite=suite.toml", "--boxes-store=store.sqlite", "--boxes-report-dir=reports")
    result = pytester.runpytest_inprocess("-m", marker, *options)
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert NOTHING.format(marker) in in_one_line(result.stdout.str())
    assert "passed" not in result.parseoutcomes() and "skipped" not in result.parseoutcomes()
    assert not (with_claims / "reports" / "latest").exists()


def test_workers_that_get_no_case_of_the_suite_are_not_green_either(
    pytester: pytest.Pytester, bench_dir: Path
) -> None:
    result = run(pytester, "-n1", "-m", "math_hypothesis", tests="")
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert NOTHING.format("math_hypothesis") in in_one_line(result.stdout.str())


def test_the_paper_s_claims_run_with_the_paper_s_suite_alone(
    pytester: pytest.Pytester, with_claims: Path
) -> None:
    def collected(*options: str) -> set[str]:
        result = pytester.runpytest_inprocess("-n0", "--co", "-q", *options)
        return {line.partition("::")[0].rpartition("/")[2] for line in result.outlines if "::" in line}

    assert "test_published_claims.py" in collected("--boxes-suite=paper")
    assert "test_published_claims.py" not in collected("--boxes-suite=suite.toml")
    assert "test_published_claims.py" not in collected("--boxes-models=tiny-base,tiny-math")


def test_any_word_of_a_suite_is_a_hypothesis_with_a_marker(
    pytester: pytest.Pytester, with_claims: Path
) -> None:
    (with_claims / "suite.toml").write_text(SUITE.replace('"code"', '"rl"'))
    options = ("-n0", "--co", "-q", "--boxes-suite=suite.toml", "-m")
    found = pytester.runpytest_inprocess(*options, "rl_hypothesis")
    assert found.ret == 0
    found.stdout.fnmatch_lines(["*test_other.py::test_variant_beats_base[[]one..two-ops1plus]"])
    assert pytester.runpytest_inprocess(*options, "code_hypothesis").ret == pytest.ExitCode.NO_TESTS_COLLECTED


@pytest.mark.parametrize("workers", ["-n0", "-n2"])
@pytest.mark.parametrize(
    "look", ["--fixtures", "--fixtures-per-test", "--collect-only", "--setup-plan", "--markers", "--help"]
)
def test_a_command_that_only_looks_reports_and_writes_nothing(
    look: str, workers: str, pytester: pytest.Pytester, checkout: Path
) -> None:
    options = ("--boxes-suite=suite.toml", "--boxes-store=store.sqlite", "--boxes-report-dir=reports")
    result = pytester.runpytest_inprocess(look, workers, *options)
    assert result.ret == 0
    assert not {"reports", "store.sqlite"} & {path.name for path in checkout.iterdir()}
    for text in ("never reported*", "= entity tracking =*", "INTERNALERROR*"):
        result.stdout.no_fnmatch_line(f"*{text}")


@pytest.mark.parametrize(
    ("gpus", "per_worker", "workers"), [("0,1,2,3", 1, 4), ("0,1,2,3", 2, 2), ("0,1,2", 2, 1)]
)
def test_n_auto_is_as_many_workers_as_leases_of_gpus(
    gpus: str, per_worker: int, workers: int, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", gpus)
    config = pytester.parseconfig("-p", "bench.plugin", f"--boxes-gpus-per-worker={per_worker}")
    assert config.hook.pytest_xdist_auto_num_workers(config=config) == workers


def test_n_auto_starts_the_workers_that_there_are_leases_for(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2")
    pytester.makepyfile("def test_nothing(): pass")
    result = pytester.runpytest_subprocess("-p", "bench.plugin", "-n", "auto", "--boxes-gpus-per-worker=2")
    result.stdout.fnmatch_lines(["1 worker*", "*1 passed*"])


def test_help_names_every_option_with_its_default(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_inprocess(f"--rootdir={ROOT}", f"--confcutdir={ROOT}", str(ROOT), "--help")
    for option in ("suite", "engine", "protocol", "dataset", "limit", "batch-size", "store", "report-dir"):
        assert f"--boxes-{option}=" in result.stdout.str()


def test_a_published_model_run_live_stands_beside_its_published_figures(
    pytester: pytest.Pytester, evaluated: Path
) -> None:
    """Random models are never right. This agrees with the published figure of one and not of the other."""
    (evaluated / "published.csv").write_text(
        "model,num_ops,accuracy_percent,n\none,0,0.0,1303\none,1,0.0,1410\ntwo,0,99.0,1303\ntwo,1,95.0,1410\n"
    )
    (evaluated / "random.csv").write_text("num_ops,accuracy_percent\n0,41.06\n1,17.85\n")
    tables = 'recorded = "published.csv"\nrecorded_baseline = "random.csv"\n'
    (evaluated / "suite.toml").write_text(SUITE.replace("[[models]]", tables + "[[models]]", 1))
    agreement = run(pytester, "--boxes-buckets=ops0,ops1", tests="test_agrees_with_published.py")
    assert agreement.parseoutcomes() == {"passed": 2, "failed": 2}
    agreement.stdout.fnmatch_lines(["*differs from the published figure: two is right on 0.0%*99.0%*"])
    judged = run(pytester, "--boxes-buckets=ops0,ops1")
    assert judged.parseoutcomes()["passed"] >= 2  # published figures are judged beside the run's figures
    section = latest(evaluated, "report.md").partition("## Beside the published figures")[2]
    as_published = [line for line in section.splitlines() if line.startswith("| as published")]
    assert ["≠" in line for line in as_published] == [False, True] and "99.0 ≠" in as_published[1]
