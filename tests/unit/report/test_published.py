"""The committed pages of the published figures equal the output of the command."""

import re
from argparse import Namespace

import pytest

from bench import ROOT
from bench.inputs import InputError
from bench.report import published
from bench.report.files import accuracy_csv
from bench.report.published import markdown, published_results
from bench.report.tables import pair_cells
from bench.report.tabular import write_cell

COMMITTED = ROOT / "reports" / "published"


@pytest.mark.parametrize(("name", "make"), [("report.md", markdown), ("accuracy.csv", accuracy_csv)])
def test_committed_file_is_what_the_command_makes(name: str, make) -> None:
    with (COMMITTED / name).open(encoding="utf-8", newline="") as file:
        assert file.read() == make(published_results())


def test_report_says_how_sure_it_can_be() -> None:
    text = markdown(published_results())
    assert "unpaired and unclustered" in text
    assert text.count("from counts") == 20 + 3  # a verdict a pair, and one a hypothesis
    assert len(re.findall(r" under a design effect of (?:1\.4 and of )?2\.", text)) == 20
    assert all(f"## {hypothesis}" in text for hypothesis in ("Code", "Math", "Alignment"))


def test_a_sentence_and_its_table_have_the_same_p() -> None:
    """p is adjusted at 1+ and in buckets over the number of tests, and unadjusted at 0 operations."""
    seen = set()
    for verdict in published_results().verdicts:
        cells = pair_cells(verdict).items()
        row = {column.heading: write_cell(value, column) for column, value in cells}
        tests = int(row["tests"])
        said = f"p adjusted over {tests} tests" if tests > 1 else "p"
        shown = row["p"] if row["p"].startswith("<") else f"= {row['p']}"
        assert f"{said} {shown}" in verdict.sentence
        assert ("adjusted over" in verdict.sentence) == (tests > 1)
        seen.add((verdict.comparison.bucket in ("ops0", "ops1plus"), tests))
    assert seen == {(True, 1), (True, 5), (True, 10), (False, 7)}


def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(published, "drawings_of", lambda *rest: pytest.fail("figures were drawn"))
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write reports into"):
        published.run(Namespace(report_dir=tmp_path / "file"))
