"""Results -> report.html: one page that needs nothing else, neither a network nor JavaScript."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bench.nights.regression import Regression
from bench.records import BUCKETS, Example, Results, Suite, Verdict
from bench.report import figures, forest
from bench.report.examples import shown_examples
from bench.report.figures import (
    Panel,
    Rows,
    draw_effects,
    draw_hypothesis,
    effect_span,
    section_of,
    sections,
    svg,
)
from bench.report.tables import (
    ANSWER_COLUMNS,
    COUNTS_NOTE,
    HEADINGS,
    answers_rows,
    name_pair,
    short_bucket,
    skip_lines,
)
from bench.scoring.pooling import pool_all
from bench.scoring.verdicts import show_p
from bench.text import printable

THEME = {  # ink of the drawings -> the page's own, which knows light and dark
    figures.INK: "var(--ink)",
    figures.MUTED: "var(--muted)",
    figures.GRID: "var(--grid)",
    figures.BASE: "var(--base)",
    figures.VARIANT: "var(--variant)",
    figures.GAIN: "var(--gain)",
    figures.LOSS: "var(--loss)",
}
TEMPLATES = Environment(
    loader=PackageLoader("bench", "report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
    lstrip_blocks=True, finalize=lambda value: printable(value) if type(value) is str else value,
)  # fmt: skip
TEMPLATES.filters |= {
    "bucket": short_bucket,
    "percent": lambda share: f"{100 * share:.1f}",
    "points": lambda difference: f"{100 * difference:+.1f}",
    "p": show_p,
}


def html(
    results: Results,
    suite: Suite,
    examples: Sequence[Example] = (),
    recorded: Sequence[Verdict] = (),
    regression: Regression | None = None,
) -> str:
    """The whole page. examples: what was asked; without them none is shown behind the cases.

    recorded: verdicts on the figures measured before, drawn behind this run's.
    """
    shown, behind = shown_examples(results, examples)
    return TEMPLATES.get_template("page.html.jinja").render(
        results=results,
        sections=[section(*found) for found in sections(results.verdicts, recorded, suite).items()],
        buckets=[bucket for bucket in BUCKETS if bucket in results.baseline],
        answer_columns=ANSWER_COLUMNS,
        counts_note=COUNTS_NOTE,
        answers=answers_rows(results),
        skipped=skip_lines(results.skipped),
        shown=shown,
        behind=behind,
        regression=regression,
    )


def section(name: str, rows: Rows) -> dict[str, Any]:
    """A hypothesis, or the controls, as the template takes it."""
    chosen = [panel for row in rows for panel in row]
    span = effect_span(chosen)
    return {
        "id": name,
        "heading": HEADINGS.get(name, "Controls"),
        "sentence": summarize(chosen),
        "pooled": pooled_of(chosen),
        "rows": [[drawn(panel, span) for panel in row] for row in rows],
    }


def pooled_of(chosen: Sequence[Panel]) -> list[tuple[str, Markup]]:
    """What the pairs show together, and its forest plot: those measured here, or else those recorded."""
    for live in (True, False):
        verdicts = [
            panel.shown["ops1plus"] for panel in chosen if panel.live is live and "ops1plus" in panel.shown
        ]
        if found := pool_all(verdicts):
            drawings = forest.draw_all(verdicts)
            return [
                (
                    entry.sentence,
                    themed(svg(drawings[f"{entry.hypothesis}-forest"], f"{entry.hypothesis}-forest")),
                )
                for entry in found
            ]
    return []


def drawn(panel: Panel, span: float) -> dict[str, Any]:
    """A pair with its two drawings, and its cases as rows."""
    name = f"{section_of(panel.pair)}-{panel.pair.id}".replace(".", "-")
    first = next(iter(panel.shown.values()))
    return {
        "name": name_pair(first.comparison),
        "pair": panel.pair,
        "live": panel.live,
        "accuracy": themed(svg(draw_hypothesis([[panel]], legend=False), f"{name}-accuracy")),
        "effects": themed(svg(draw_effects([[panel]], legend=False, span=span), f"{name}-effects")),
        "cases": [(verdict, panel.behind.get(bucket)) for bucket, verdict in panel.shown.items()],
        "main": panel.shown.get("ops1plus", first),
    }


def themed(drawing: str) -> Markup:
    """A drawing of our own in the colours of the page. What models wrote is in none."""
    for ink, variable in THEME.items():
        drawing = drawing.replace(ink, variable)
    return Markup(drawing)


def summarize(chosen: Sequence[Panel]) -> str:
    """The verdict of a hypothesis in one sentence: of how many pairs each outcome is, and of which."""
    parts = []
    for live, where in ((True, "measured here"), (False, "as recorded, not run here")):
        tested = [
            panel.shown["ops1plus"] for panel in chosen if panel.live is live and "ops1plus" in panel.shown
        ]
        variants: dict[str, list[str]] = {}
        for verdict in tested:
            variants.setdefault(verdict.outcome, []).append(verdict.comparison.pair.variant)
        counts = [
            f"{outcome} {len(names)} of {len(tested)} ({', '.join(names)})"
            for outcome, names in variants.items()
        ]
        if counts:
            parts.append(f"{where}, {', '.join(counts)}")
    return f"On boxes with 1 or more operations: {'; '.join(parts) or 'no pair was tested'}."
