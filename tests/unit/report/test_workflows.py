"""The workflows run the commands of the README and the Makefile."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from typing import Any

import pytest

from bench import ROOT

yaml = pytest.importorskip("yaml", reason="needs pip install pyyaml", exc_type=ImportError)
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def commands(path) -> list[str]:
    jobs: dict[str, Any] = yaml.safe_load(path.read_text())["jobs"]
    return [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_every_command_is_a_program_that_is_there_and_shell_that_parses(path):
    targets = re.findall(r"^([\w./]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for command in commands(path):
        subprocess.run(["bash", "-n", "-c", command], check=True)
        program, *arguments = shlex.split(command)
        if program == "make":
            assert set(arguments) <= set(targets), command
        elif program.startswith(".ci/"):
            assert os.access(ROOT / program, os.X_OK), command
        else:
            assert program in (".venv/bin/python", "cat"), command


def test_continuous_integration_runs_the_check_on_two_versions_of_python():
    [path] = [path for path in WORKFLOWS if path.stem == "ci"]
    versions = yaml.safe_load(path.read_text())["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert {".ci/run", ".ci/install"} <= set(commands(path))
    assert "make test" in (ROOT / ".ci" / "run").read_text()
    assert len(set(versions)) == 2 and "3.11" in versions


def test_the_nightly_commands_are_taken_by_pytest(pytestconfig):
    """Every option exists, and the markers are declared."""
    [path] = [path for path in WORKFLOWS if path.stem == "nightly"]
    asked = [shlex.split(command.partition(" -m pytest ")[2]) for command in commands(path)]
    chosen, *others = (pytestconfig._parser.parse(arguments) for arguments in asked if arguments)
    assert chosen.boxes_save == chosen.boxes_compare == "" and chosen.boxes_compare_fail
    assert chosen.xmlpath == "reports/junit.xml" and chosen.numprocesses == 2
    declared = {line.split(":")[0] for line in pytestconfig.getini("markers")}
    assert {*chosen.markexpr.split(" or "), *(other.markexpr for other in others)} <= declared
    assert [other.markexpr for other in others] == ["server", "harness", "real"]
