"""A suite may have models without pairs. Each is compared with random guessing, and shown."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bench import ROOT
from bench.models.suites import load_suite
from bench.records import ModelEntry
from bench.report.files import write
from bench.run.plans import choose_models, metadata_of, singles_of
from bench.run.session import Session

pytest_plugins = ["pytester"]

ONE = '[[models]]\nname = "one"\npath = "one"\n'
TWO = '[[models]]\nname = "two"\npath = "two"\n'
THREE = '[[models]]\nname = "three"\npath = "one"\n'
PAIR = '[[pairs]]\nhypothesis = "code"\nbase = "one"\nvariant = "two"\n'


@pytest.mark.parametrize(
    ("text", "chosen", "singles"),
    [
        pytest.param(ONE + TWO, "", ["one", "two"], id="no pairs"),
        pytest.param(ONE + TWO + THREE + PAIR, "", ["three"], id="one in no pair"),
        pytest.param(ONE + TWO + THREE + PAIR, "one,two", [], id="a chosen pair"),
        pytest.param(ONE + TWO + THREE + PAIR, "two,three", ["two", "three"], id="chosen without bases"),
    ],
)
def test_a_model_in_no_pair_is_not_forgotten(
    text: str, chosen: str, singles: list[str], tmp_path: Path
) -> None:
    (tmp_path / "suite.toml").write_text(f'name = "s"\n{text}')
    suite = choose_models(load_suite(str(tmp_path / "suite.toml")), chosen)
    assert singles_of(suite, chosen) == singles


def test_single_models_are_in_the_results_and_in_every_format_of_the_report(
    session_of: Callable[[str], Session], tmp_path: Path
) -> None:
    session = session_of(":memory:")
    session.suite = replace(session.suite, pairs=())
    session.evaluate("one", "two")
    results = session.results([], metadata_of(session.suite, session.plan), singles_of(session.suite))
    assert set(results.evaluations) == {"one", "two"} and results.verdicts == ()
    folder = write(results, tmp_path / "run", session.suite, session.plan.examples)
    assert set(json.loads((folder / "results.json").read_text())["models"]) == {"one", "two"}
    for name in ("report.md", "report.html", "accuracy.csv"):
        assert all(model in (folder / name).read_text() for model in ("one", "two")), name


@pytest.mark.nightly
def test_a_suite_of_single_models_is_run_and_shown(
    pytester: pytest.Pytester, models: dict[str, ModelEntry]
) -> None:
    for name, entry in models.items():
        shutil.copytree(entry.path, pytester.path / name)
    (pytester.path / "suite.toml").write_text(f'name = "single"\n{ONE}{TWO}')
    command = [
        sys.executable, "-m", "pytest", f"--rootdir={ROOT}", f"--config-file={ROOT / 'pytest.ini'}",
        "-p", "no:cacheprovider", str(ROOT / "tests" / "hypotheses"), "--boxes-suite=suite.toml",
        "--boxes-store=store.sqlite", "--boxes-report-dir=reports", "--boxes-limit=4",
        "--boxes-buckets=ops0,ops1plus", "--boxes-save=night",
    ]  # fmt: skip
    result = pytester.run(*command)
    assert sum(result.parseoutcomes().get(kind, 0) for kind in ("passed", "failed", "xfailed")) == 4
    assert "report.html" in result.stdout.str()
    for path in ("latest/results.json", "saved/night.json"):
        found = json.loads((pytester.path / "reports" / path).read_text())
        assert set(found["models"]) == {"one", "two"}
    again = pytester.run(*command, "-m", "code_hypothesis")
    assert again.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert "Its models are in no pair. Run it without -m." in " ".join(again.outlines)  # wrapped at 80
