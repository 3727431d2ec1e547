"""One table, written in every form."""

from __future__ import annotations

import csv
import io

from bench.records import Accuracy
from bench.report.tabular import Bold, Column, Table, markdown, to_csv, to_latex

TABLE = Table(
    "made-up",
    "",
    (Column("model"), Column("a_1", "interval"), Column("n", "count")),
    (("x & y_2", Bold(Accuracy(100, 50, 0.4, 0.6)), 100), ("=cmd()", None, None)),
)


def test_markdown_is_rounded_and_bold() -> None:
    assert "**50.0 [40.0, 60.0]**" in markdown(TABLE)


def test_csv_has_every_number_in_a_column_of_its_own() -> None:
    header, first, second = csv.reader(io.StringIO(to_csv(TABLE)))
    assert header == ["model", "a_1", "a_1 low", "a_1 high", "n"]
    assert [float(cell) for cell in first[1:]] == [0.5, 0.4, 0.6, 100]
    assert second == ["'=cmd()", "", "", "", ""]


def test_latex_is_a_booktabs_table_whose_text_is_escaped() -> None:
    text = to_latex(TABLE)
    assert text.startswith("\\begin{tabular}{lrr}\n\\toprule\nmodel & a\\_1 & n")
    assert r"x \& y\_2 & 50.0 [40.0, 60.0] & 100" in text and text.endswith("\\end{tabular}\n")
