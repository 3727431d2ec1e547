"""One table in every form: Markdown, CSV, LaTeX, and the cells of the page."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tabulate import tabulate

from bench.records import Accuracy, Difference
from bench.scoring.sentences import show_p
from bench.text import csv_cell, inert, latex, printable

WIDE = ("share", "interval", "gain")  # kinds whose values have an interval
Kind = Literal["text", "count", "share", "interval", "gain", "p", "finding"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column. kind: the type and format of its cells. role: base or variant, which sets its colour."""

    heading: str
    kind: Kind = "text"
    role: str = ""


@dataclass(frozen=True, slots=True)
class Bold:
    """A cell's value in bold."""

    value: object


@dataclass(frozen=True, slots=True)
class Table:
    """A table of values. name: name of its files. anchors: ids of the rows. main: numbers of bold rows."""

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[object, ...], ...]
    anchors: tuple[str, ...] = ()
    main: frozenset[int] = frozenset()


def percent(share: float) -> str:
    return f"{100 * share:.1f}"


def signed_interval(found: Difference) -> str:
    return f"{100 * found.value:+.1f} [{100 * found.low:+.1f}, {100 * found.high:+.1f}]"


def share(found: Accuracy | float) -> str:
    return percent(found.value if isinstance(found, Accuracy) else found)


def with_interval(found: Accuracy | float) -> str:
    ends = f" [{percent(found.low)}, {percent(found.high)}]" if isinstance(found, Accuracy) else ""
    return share(found) + ends


WRITTEN: Mapping[Kind, Callable[[Any], str]] = {
    "text": str,
    "count": str,
    "share": share,
    "interval": with_interval,
    "gain": signed_interval,
    "p": show_p,
    "finding": str,
}


def write_cell(value: object, column: Column) -> str:
    """The text of a cell; "" for None."""
    value = value.value if isinstance(value, Bold) else value
    if value is None:
        return ""
    return printable(str(value) if isinstance(value, int | str) else WRITTEN[column.kind](value))


def markdown(table: Table) -> str:
    """The table in Markdown. Text in cells is escaped."""
    rows = [
        [markdown_cell(value, column) for value, column in zip(row, table.columns, strict=True)]
        for row in table.rows
    ]
    headings = [inert(column.heading) for column in table.columns]
    return tabulate(rows, headings, tablefmt="pipe", disable_numparse=True)


def markdown_cell(value: object, column: Column) -> str:
    text = write_cell(value, column)
    text = text if column.kind == "p" else inert(text)
    return f"**{text}**" if isinstance(value, Bold) else text


def to_csv(table: Table) -> str:
    """The table as CSV with unrounded numbers. An interval takes three columns. No cell is a formula."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    widths = [3 if column.kind in WIDE else 1 for column in table.columns]
    writer.writerow(
        heading
        for column, width in zip(table.columns, widths, strict=True)
        for heading in [column.heading, f"{column.heading} low", f"{column.heading} high"][:width]
    )
    for row in table.rows:
        writer.writerow(
            cell
            for value, width in zip(row, widths, strict=True)
            for cell in numbers(value.value if isinstance(value, Bold) else value, width)
        )
    return out.getvalue()


def numbers(value: object, width: int) -> list[object]:
    if isinstance(value, (Accuracy, Difference)):
        return [f"{number:.6f}" for number in (value.value, value.low, value.high)]
    if isinstance(value, float):
        return [f"{value:.6g}", *[None] * (width - 1)]
    if isinstance(value, str):
        value = csv_cell(value)
    return [value, *[None] * (width - 1)]


def to_latex(table: Table) -> str:
    """A tabular for the package booktabs."""
    spec = "".join("l" if column.kind in ("text", "finding") else "r" for column in table.columns)
    lines = [latex_row([column.heading for column in table.columns])]
    lines += [
        latex_row([write_cell(*cell) for cell in zip(row, table.columns, strict=True)]) for row in table.rows
    ]
    return "\n".join(
        [f"\\begin{{tabular}}{{{spec}}}", "\\toprule", lines[0], "\\midrule", *lines[1:], "\\bottomrule",
         "\\end{tabular}", ""]
    )  # fmt: skip


def latex_row(cells: Sequence[str]) -> str:
    return " & ".join(latex(cell) for cell in cells) + r" \\"
