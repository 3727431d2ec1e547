"""boxes run and boxes view: the meaning of their arguments."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

import pytest

import bench
from bench.commands import main
from bench.models.suites import NAME, load_suite, name_of
from bench.plugin import command


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test runs in its own folder, like an installed package."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "ROOT", tmp_path)


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args(arguments)


def test_a_pair_becomes_a_suite_file(random_checkpoints: Path) -> None:
    asked = parsed("--base", "meta/Llama-2", "--variant", str(random_checkpoints / "two"), "--chat-variant")
    suite = load_suite(str(command.write_pair(asked)))
    base, variant = suite.models.values()
    assert (base.name, base.path, base.source, base.chat) == ("Llama-2", "meta/Llama-2", "hub", False)
    assert (variant.name, variant.path, variant.chat) == ("two", str(random_checkpoints / "two"), True)
    assert [pair.id for pair in suite.pairs] == ["Llama-2..two"]


def test_embedded_models_keep_what_their_suite_says() -> None:
    suite = load_suite(str(command.write_pair(parsed("--base", "tiny-base", "--variant", "tiny-chat"))))
    embedded = load_suite("embedded").models
    assert suite.models["tiny-chat"].chat and suite.models["tiny-chat"].dtype == "float32"
    assert suite.models["tiny-base"].path == embedded["tiny-base"].path


def test_two_checkpoints_of_one_name_go_by_their_parents(tmp_path: Path) -> None:
    for run in ("one", "two"):
        (tmp_path / run / "final").mkdir(parents=True)
    suite = load_suite(str(command.write_pair(parsed("--base", "one/final", "--variant", "two/final"))))
    assert list(suite.models) == ["one-final", "two-final"]


@pytest.mark.parametrize("text", ['we"ird\\', "a b/é", "..", "a...b", "-x", "日本"])
def test_a_name_is_always_one_that_a_suite_may_hold(text: str, tmp_path: Path) -> None:
    assert NAME.fullmatch(name_of(text))


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("--limit=20", "--boxes-limit=20"),
        ("--suite", "--boxes-suite"),
        ("--boxes-limit=20", "--boxes-limit=20"),
        ("-m", "-m"),
        ("--durations=3", "--durations=3"),
        ("my_tests/", "my_tests/"),
    ],
)
def test_options_of_the_suite_may_leave_out_their_prefix(given: str, taken: str) -> None:
    assert command.long_option(given) == taken


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "--base", "tiny-base"], "Give --base and --variant"),
        (["run", "--base", "tiny-base", "--variant", "./gone"], "no model at gone"),
        (["run", "--base", "tiny-base", "--variant", "tiny-base"], "are both tiny-base"),
        (["view", "monday", "--report-dir", "."], "no report.html of monday"),
    ],
)
def test_a_mistake_is_one_line(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments, prog="boxes") == 4
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"boxes {arguments[0]}: ") and says in line


def test_output_and_exit_status_are_those_of_pytest(random_checkpoints: Path) -> None:
    """From a folder whose own package is called bench too."""
    Path("bench").mkdir()
    Path("bench/__init__.py").write_text("raise SystemExit('another bench')")
    pair = ["--base", str(random_checkpoints / "one"), "--variant", str(random_checkpoints / "two")]
    run = [sys.executable, "-P", "-m", "bench", "run", *pair, "--co", "-q", "-k", "two-ops3"]
    environ = os.environ | {"PYTHONPATH": str(bench.ROOT)}
    done = subprocess.run(run, capture_output=True, text=True, env=environ)
    assert done.returncode == pytest.ExitCode.OK, done.stderr
    assert "test_variant_beats_base[one..two-ops3]" in done.stdout


def test_view_opens_the_page_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    page = tmp_path / "reports" / "monday" / "report.html"
    page.parent.mkdir(parents=True)
    page.write_text("<p>a page</p>")
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    assert main(["view", "monday", "--report-dir", "reports"]) == 0
    assert opened == [page.as_uri()] and capsys.readouterr().out.strip() == str(page)


def test_another_checkout_is_not_run_silently(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for place in ("bench", "fixtures/suites"):
        (tmp_path / place).mkdir(parents=True)
    (tmp_path / "bench" / "records.py").touch()
    assert main(["baseline"]) == 4
    assert "is a checkout, but the running code is" in capsys.readouterr().err
