"""Nightly runs on the command line, with answers of known quality and baselines with known differences."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from bench import ROOT
from bench.__main__ import main
from bench.models.suites import load_suite
from bench.nights.regression import MEASURED_WORSE, NOT_MEASURED
from bench.records import Completion, Example, in_bucket
from bench.run.evaluate import settings_of
from bench.run.options import Options
from bench.run.plans import Plan
from bench.store import Run, Store
from bench.task.examples import evaluation_set
from bench.task.prompts import STATEMENT, gold_statement

pytest_plugins = ["pytester"]

SUITE = """
name = "nights"
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
NOTHING = STATEMENT + ", ".join(f"Box {box} contains nothing" for box in range(7)) + "."


@pytest.fixture(scope="module")
def asked() -> tuple[Example, ...]:
    return tuple(evaluation_set())


@pytest.fixture
def night(pytester: pytest.Pytester, random_checkpoints: Path, asked: tuple[Example, ...]) -> Path:
    """A folder with a store of answers. `one` is right on about half of the examples, `two` on two thirds."""
    for name in ("one", "two"):
        shutil.copytree(random_checkpoints / name, pytester.path / name)
    (pytester.path / "suite.toml").write_text(SUITE)
    plan = Plan(asked, Options(engine="reference"), run_id="before")
    with Store(pytester.path / "store.sqlite") as store:
        for name, entry in load_suite(str(pytester.path / "suite.toml")).models.items():
            [settings] = settings_of(entry, plan)
            every = {"one": 2, "two": 3}[name]
            rows = [
                (
                    key,
                    Completion(
                        gold_statement(example) if (n % every == 0) == (name == "one") else NOTHING, "stop", 9
                    ),
                )
                for n, (example, key) in enumerate(zip(asked, plan.keys(settings).values(), strict=True))
            ]
            store.add(rows, Run("before", name, settings))
    return pytester.path


@pytest.fixture
def bench(pytester: pytest.Pytester, night: Path) -> Callable[..., pytest.RunResult]:
    """The project's test of the code hypothesis in a separate process."""

    def run(*options: str, suite: str = "suite.toml") -> pytest.RunResult:
        return pytester.runpytest_subprocess(
            f"--rootdir={ROOT}", f"--config-file={ROOT / 'pytest.ini'}", f"--confcutdir={ROOT}",
            "-p", "no:cacheprovider", str(ROOT / "tests" / "hypotheses" / "test_code.py"),
            f"--boxes-suite={suite}", "--boxes-store=store.sqlite", "--boxes-report-dir=reports",
            "--boxes-engine=reference", "--boxes-buckets=ops1plus", *options,
        )  # fmt: skip

    return run


def plant(path: Path, asked: tuple[Example, ...], model: str, points: float) -> None:
    """Make the baseline better by some points at 1+, or worse for a negative number."""
    saved: dict[str, Any] = json.loads(path.read_text())
    answers = list(saved["models"][model]["answers"])
    num_ops = [
        query.num_ops
        for _, _, query in sorted(
            ((example.id, query.box, query) for example in asked for query in example.queries),
            key=lambda row: row[:2],
        )
    ]
    places = [
        place for place, letter in enumerate(answers) if num_ops[place] and (letter != ".") == (points > 0)
    ]
    number = round(abs(points) / 100 * sum(count > 0 for count in num_ops))
    for index in range(number):
        answers[places[index * len(places) // number]] = "." if points > 0 else "o"
    saved["models"][model]["answers"] = "".join(answers)
    for bucket, accuracy in saved["models"][model]["accuracies"].items():
        right = [letter == "." for letter, n in zip(answers, num_ops, strict=True) if in_bucket(n, bucket)]
        accuracy["correct"] = sum(right)
    path.write_text(json.dumps(saved))


def test_a_night_is_saved_compared_and_made_the_baseline(bench, night, asked, capsys):
    """First night, second night the same, then five points worse than the baseline."""
    run = bench("--boxes-save=first", "--junitxml=junit.xml")
    assert run.ret == 0
    run.stdout.fnmatch_lines(["saved: *first.json. Compare later runs with --boxes-compare=first"])
    saved = night / "reports" / "saved" / "first.json"
    figures = {
        entry.get("name"): entry.get("value")
        for entry in ElementTree.parse(night / "junit.xml").iter("property")
    }
    assert figures["outcome"] == "better" and figures["n"] == "3709"
    first = json.loads(saved.read_text())["metadata"]["run"]
    assert first in (night / "reports" / "history.html").read_text()
    pinned = night / "baseline.json"
    assert main(["baseline-update", str(saved), "--to", str(pinned)]) == 0
    assert "two: not included -> " in capsys.readouterr().out

    same = bench("--boxes-save=second", f"--boxes-compare={pinned}", "--boxes-compare-fail")
    assert same.ret == 0
    same.stdout.fnmatch_lines(["Nothing changed since baseline: 1,432 answers, 0 different."])

    plant(pinned, asked, "two", points=5)
    before = pinned.read_bytes()
    worse = bench(f"--boxes-compare={pinned}", "--boxes-compare-fail")
    assert worse.ret == MEASURED_WORSE
    worse.stdout.fnmatch_lines(["Since baseline, two got worse at 1+: -5.0 *"])
    assert "one got worse" not in worse.stdout.str()
    assert pinned.read_bytes() == before  # a run never changes the baseline
    report = (night / "reports" / "latest" / "report.md").read_text()
    assert report.count(" → ") > 185 and "two got worse at 1+" in report


@pytest.mark.nightly
@pytest.mark.parametrize(
    "points", [pytest.param(1, id="a point worse"), pytest.param(-5, id="an improvement")]
)
def test_what_is_no_regression_passes(bench, night, asked, points):
    bench("--boxes-save=first")
    plant(night / "reports" / "saved" / "first.json", asked, "two", points)
    result = bench("--boxes-compare=first", "--boxes-compare-fail")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["No model got worse since first: 1,432 answers, * different."])


@pytest.mark.nightly
def test_a_model_that_cannot_be_measured_has_an_exit_status_of_its_own(bench, night):
    bench("--boxes-save=first")
    bigger = 'path = "two"\nquantization = "8bit"\nmemory_gb = 99999'  # neither stored nor runnable
    (night / "tonight.toml").write_text(SUITE.replace('path = "two"', bigger))
    result = bench("--boxes-compare=first", "--boxes-compare-fail", suite="tonight.toml")
    assert result.ret == NOT_MEASURED
    result.stdout.fnmatch_lines(["- not measured: two: *"])


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param(
            ["--boxes-protocol=strict"],
            "has another protocol: paper *, but this run has strict",
            id="protocol",
        ),
        pytest.param(["--boxes-limit=6"], "has another data set: ", id="data"),
        pytest.param(
            ["--boxes-compare=absent"], "no saved run reports/saved/absent.json", id="no such night"
        ),
        pytest.param(["--boxes-save=../x"], "cannot save a run as '../x'", id="a name that is a path"),
    ],
)
def test_a_baseline_that_will_not_do_is_refused_before_anything_runs(bench, options, said):
    bench("--boxes-save=first")
    result = bench("--boxes-compare=first", *options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: *{said}*"])


@pytest.mark.nightly
def test_a_report_is_made_again_without_the_models(bench, night, monkeypatch):
    """Also beside figures that were published of its models."""
    suite = night / "suite.toml"
    suite.write_text('recorded = "figures.csv"\nrecorded_baseline = "random.csv"\n' + suite.read_text())
    (night / "figures.csv").write_text("model,bucket,accuracy,n\none,ops1,0.5,900\ntwo,ops1,0.6,900\n")
    (night / "random.csv").write_text("bucket,accuracy\nops1,0.2\n")
    bench()
    assert "Beside the published figures" in (night / "reports" / "latest" / "report.md").read_text()
    made = (night / "reports" / "latest").resolve()
    before = contents(made)
    for path in before:
        next(made.rglob(path)).unlink() if path != "results.json" else None
    for name in ("one", "two"):  # the suite file still names the folders, which are now empty
        shutil.rmtree(night / name)
        (night / name).mkdir()
    monkeypatch.chdir(night)
    assert main(["report", str(made), "--store", "store.sqlite", "--suite", "suite.toml"]) == 0
    assert contents(made) == before


def contents(folder: Path) -> dict[str, Any]:
    """Every file of a report. JSON is parsed, because the store may reorder the keys of a fingerprint."""
    found: dict[str, Any] = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return found | {"results.json": json.loads(found["results.json"])}
