"""Results -> report.html: one page that needs no other file and no network."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from bench.records import Example, Results, Verdict
from bench.report import style
from bench.report.cite import BIBTEX
from bench.report.drawings import THINKING
from bench.report.examples import pack
from bench.report.panels import Panel, Section, find, recorded_sentence, sections
from bench.report.tables import (
    CONTROLS,
    COUNTS_NOTE,
    accuracy_table,
    answers,
    cases,
    factors,
    recorded_pairs,
    skip_lines,
    spread_table,
)
from bench.report.tabular import Bold, Column, Table, to_csv, to_latex, write_cell
from bench.text import html as as_html

if TYPE_CHECKING:
    from bench.nights.regression import Regression

THEME = {  # colour in the drawings -> colour variable of the page, for light and dark mode
    style.INK: "var(--ink)",
    style.MUTED: "var(--muted)",
    style.GRID: "var(--grid)",
    style.BASE: "var(--base)",
    style.VARIANT: "var(--variant)",
    style.GAIN: "var(--gain)",
    style.LOSS: "var(--loss)",
    **{colour: f"var(--{kind})" for kind, colour in style.ERRORS.items()},
}
KINDS = {  # text alternatives of the drawings
    "accuracy": "Accuracy by number of operations",
    "effects": "Variant minus base by number of operations",
    "errors": "Share of each kind of error by number of operations",
    "factors": "Accuracy by last operation, objects, operations and box",
}


def shown(text: str) -> Markup:
    return Markup(as_html(text))  # nosec B704


TEMPLATES = Environment(
    loader=PackageLoader("bench", "report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
    lstrip_blocks=True, finalize=lambda value: shown(value) if type(value) is str else value,
)  # fmt: skip
TEMPLATES.filters |= {"percent": lambda share: f"{100 * share:.1f}"}


def html(
    results: Results,
    drawings: Mapping[str, str],
    examples: Sequence[Example] = (),
    recorded: Sequence[Verdict] = (),
    regression: Regression | None = None,
    changes: Table | None = None,
    since: str = "",
    only_drawn: Collection[str] = (),
) -> str:
    """The whole page. drawings: SVG by name. examples: the examples to browse, if any.

    recorded: verdicts on figures measured before. changes, since: the regression as a table and a sentence.
    only_drawn: names of drawings without a file beside the page.
    """
    found = sections(results.verdicts, recorded)
    return TEMPLATES.get_template("page.html.jinja").render(
        results=results,
        sections=[lay_out(section, results, drawings) for section in found],
        series=[
            {"name": name, "label": name.replace("-", " ", 1), "svg": themed(drawing)}
            for name, drawing in drawings.items()
            if name.startswith("series-")
        ],
        thinking=[
            {"name": THINKING, "label": "Accuracy by tokens of thinking", "svg": themed(drawings[name])}
            for name in drawings
            if name == THINKING
        ],
        accuracies=accuracy_table(results.accuracies, results.baseline, results.over_random, "interval"),
        answers=answers(results) if results.evaluations else None,
        spread=spread_table(results),
        skipped=skip_lines(results.skipped),
        packed=Markup(pack(results, examples)),  # nosec B704
        regression=regression,
        changes=changes,
        since=since,
        bibtex=escape(BIBTEX),
        bibtex_uri=data_uri(BIBTEX, "application/x-bibtex"),
        only_drawn=only_drawn,
        **HELPERS,
    )


def lay_out(section: Section, results: Results, drawings: Mapping[str, str]) -> dict[str, Any]:
    """A hypothesis, or the controls, as the template needs it."""
    return {
        "name": section.name,
        "heading": section.heading,
        "finding": find(section),
        "recorded": recorded_sentence(section),
        "panels": [lay_out_pair(panel, results, drawings) for panel in section.panels],
        "elsewhere": recorded_pairs(section) if section.elsewhere else None,
        "forest": [
            {"name": name, "label": f"Gain of each pair: {section.heading}", "svg": themed(drawings[name])}
            for name in [f"{section.name}-forest"]
            if name in drawings and len(section.panels) > 1
        ],
        "overviews": [
            (name, label) for kind, label in KINDS.items() if (name := f"{section.name}-{kind}") in drawings
        ],
    }


def lay_out_pair(panel: Panel, results: Results, drawings: Mapping[str, str]) -> dict[str, Any]:
    """A pair with its drawings and tables."""
    drawn = [
        {"name": f"{panel.name}-{kind}", "label": f"{label}: {panel.pair.id}", "svg": themed(drawings[name])}
        for kind, label in KINDS.items()
        if (name := f"{panel.name}-{kind}") in drawings
    ]
    return {
        "name": panel.name,
        "pair": panel.pair,
        "sentence": panel.main.sentence,
        "as_recorded": panel.as_recorded,
        "from_counts": bool(panel.main.if_clustered),
        "drawings": drawn[:2],
        "errors": drawn[2:],
        "cases": cases(panel),
        "factors": factors(panel, results),
    }


def themed(drawing: str) -> Markup:
    """Our drawing in the colours of the page. Its text is already escaped."""
    for ink, variable in THEME.items():
        drawing = drawing.replace(ink, variable)
    return Markup(drawing)  # nosec B704


def split_cell(value: object, column: Column) -> dict[str, object]:
    """A cell's text, its interval, and whether it is bold."""
    text, bracket, interval = write_cell(value, column).partition(" [")
    is_number = column.kind in ("interval", "gain")
    if not is_number:
        text, bracket, interval = text + bracket + interval, "", ""
    return {
        "text": text.replace("-", "−") if is_number else text,
        "interval": (bracket + interval).strip().replace("-", "−"),
        "bold": isinstance(value, Bold),
    }


def data_uri(text: str, kind: str) -> Markup:
    return Markup(f"data:{kind};charset=utf-8,{quote(text)}")  # nosec B704


def downloads(table: Table) -> list[tuple[str, str, Markup]]:
    """Label, file name and address of the table in each form."""
    return [
        ("CSV", f"{table.name}.csv", data_uri(to_csv(table), "text/csv")),
        ("LaTeX", f"{table.name}.tex", data_uri(to_latex(table), "text/plain")),
    ]


HELPERS = {
    "split_cell": split_cell,
    "downloads": downloads,
    "formats": style.FORMATS,
    "controls": CONTROLS,
    "counts_note": COUNTS_NOTE,
}
