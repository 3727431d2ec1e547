"""Untrusted text is plain text in every format of the report."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from pathlib import Path

import pytest

from bench.nights.regression import compare_nights, night_of
from bench.records import Completion, Pair, Results, Suite
from bench.report import tables
from bench.report.files import point_latest_at, write
from bench.text import inert, printable

HOSTILE = "<script>alert(1)</script> a|b `rm` \x1b[31m \x07 =cmd() ../../x\n- [x](javascript:y)"
SUITE = Suite("made-up", {}, (Pair("code", "before", "after"),))


@pytest.fixture(scope="module")
def reports(results: Results, asked: list, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of reports on models with hostile output. One of them could not run."""
    evaluations = {
        name: replace(
            evaluation,
            completions={
                key: Completion(f"{answer.text} {HOSTILE}", "stop", 1)
                for key, answer in evaluation.completions.items()
            },
        )
        for name, evaluation in results.evaluations.items()
    }
    metadata = {**results.metadata, "torch": HOSTILE}
    hostile = replace(results, metadata=metadata, evaluations=evaluations, skipped={"absent": HOSTILE})
    before = night_of(results)
    before = replace(before, models=before.models | {"absent": before.models["after"]})
    regression = compare_nights(hostile, before, asked=["absent"])
    folder = tmp_path_factory.mktemp("place") / "reports"
    write(hostile, folder / "night", SUITE, asked, results.verdicts, regression)
    return folder


def test_nothing_is_written_beside_the_report(reports: Path) -> None:
    assert [path.name for path in reports.parent.iterdir()] == ["reports"]
    assert {path.name for path in reports.iterdir()} == {"night", "latest"}
    files = {str(path.relative_to(reports / "night")) for path in (reports / "night").rglob("*.*")}
    drawn = {
        f"figures/code-before..after-{kind}.{form}"
        for kind in ("accuracy", "effects", "errors", "factors")
        for form in ("svg", "png", "pdf")
    }
    assert files == drawn | {"report.md", "report.html", "accuracy.csv", "results.json"}


def test_latest_still_points_at_a_run_whose_report_was_made_again_by_that_name(reports: Path) -> None:
    point_latest_at(reports / "latest")
    assert (reports / "latest").readlink() == Path("night")


@pytest.mark.parametrize("name", ["report.md", "report.html", "accuracy.csv", "results.json"])
def test_no_control_character_is_in_any_format(reports: Path, name: str) -> None:
    text = (reports / "night" / name).read_text(encoding="utf-8")
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", text.replace("\r\n", "\n"))


@pytest.mark.parametrize("name", ["report.md", "report.html"])
def test_no_markup_of_others_is_in_a_report(reports: Path, name: str) -> None:
    text = (reports / "night" / name).read_text(encoding="utf-8")
    assert "<script>alert(1)" not in text and "&lt;script" in text


def test_markdown_is_not_broken_by_what_others_wrote(reports: Path) -> None:
    lines = (reports / "night" / "report.md").read_text(encoding="utf-8").splitlines()
    told = [line for line in lines if "alert(1)" in line]
    assert sum(line.startswith("- absent: &lt;script>") for line in told) == 2  # not run, not measured
    assert all(re.search(r"a\\\|b \\`rm\\`", line) for line in told)
    assert not any(line.startswith("- [x]") for line in lines)


def test_no_cell_of_the_csv_is_a_formula(reports: Path) -> None:
    with (reports / "night" / "accuracy.csv").open(encoding="utf-8", newline="") as file:
        assert not [
            cell for row in csv.reader(file) for cell in row if cell.startswith(("=", "+", "@", "\t"))
        ]


def test_text_of_others_stays_readable() -> None:
    assert printable("no folder /models/naïve_ä\n  of \x1b[1mit") == (
        "no folder /models/naïve_ä of \N{REPLACEMENT CHARACTER}[1mit"
    )
    assert inert("a < b | `c`") == "a &lt; b \\| \\`c\\`"


def test_the_table_of_answers_has_a_warning_only_where_there_is_one(results: Results) -> None:
    assert "warning" not in [column.heading for column in tables.answers(results).columns]
    doubtful = replace(results.evaluations["after"], run={"metadata": {"warning": "asked as plain text"}})
    table = tables.answers(replace(results, evaluations=results.evaluations | {"after": doubtful}))
    assert table.columns[-1].heading == "warning"
    assert [row[-1] for row in table.rows] == ["", "asked as plain text"]
