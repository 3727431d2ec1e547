"""The committed pages of the published figures are what the command makes."""

import pytest

from bench import ROOT
from bench.report.files import accuracy_csv
from bench.report.published import markdown, published

COMMITTED = ROOT / "reports" / "published"


@pytest.mark.parametrize(("name", "make"), [("report.md", markdown), ("accuracy.csv", accuracy_csv)])
def test_committed_file_is_what_the_command_makes(name: str, make) -> None:
    with (COMMITTED / name).open(encoding="utf-8", newline="") as file:
        assert file.read() == make(published())


def test_report_says_how_sure_it_can_be() -> None:
    text = markdown(published())
    assert "unpaired and unclustered" in text
    assert text.count("from counts") == 20 + 3  # a verdict a pair, and one a hypothesis
    assert text.count(" under a design effect of 2.") == 20
    assert all(f"## {hypothesis}" in text for hypothesis in ("Code", "Math", "Alignment"))
