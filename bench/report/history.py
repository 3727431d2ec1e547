"""Nights -> what changed since the baseline (Markdown), and history.html: accuracy over nights."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from bench.nights.files import load_all
from bench.nights.regression import ENVIRONMENT, SAME, Flip, Night, Regression, differences
from bench.outputs import write_text
from bench.report.figures import BASE, CELL, MUTED, STYLE, svg
from bench.report.page import TEMPLATES, themed
from bench.report.tables import Ours, bullet_list, short_bucket, signed_interval, table, with_interval
from bench.text import inert

BUCKET = "ops1plus"
LEAST_SPAN = 4  # points above and below: what is less than a margin shall look like less


def regression_markdown(regression: Regression) -> str:
    """What got worse, what could not be measured, every flip, and what else changed, in this order."""
    parts = [f"## Since the baseline ({regression.baseline})", headline(regression)]
    if regression.unmeasured:
        lines = bullet_list(inert(f"{model}: {reason}") for model, reason in regression.unmeasured.items())
        parts += ["### Could not be measured", lines]
    if regression.environment:
        changes = regression.environment.items()
        lines = bullet_list(inert(f"{part}: {then} → {now}") for part, (then, now) in changes)
        parts += ["### What else changed", lines]
    parts += ["### Tonight minus the baseline", changes_table(regression)]
    if regression.flips:
        lines = bullet_list(map(describe_flip, regression.flips))
        summary = f"<summary>{len(regression.flips)} queries came out differently</summary>"
        parts += [f"<details>{summary}", lines, "</details>"]
    return "\n\n".join(parts) + "\n"


def headline(regression: Regression) -> str:
    """One sentence: it names every model that is worse."""
    said = [
        f"{change.model} is worse at {short_bucket(change.bucket)}: {signed_interval(change.difference)} "
        f"points, below the margin of {100 * change.margin:.1f}"
        for change in regression.worse
    ] or ["No model is worse by more than its margin"]
    counted = f"{len(regression.flips)} queries came out differently"
    return "; ".join([*said, counted, f"{len(regression.unmeasured)} models could not be measured"]) + "."


def changes_table(regression: Regression) -> str:
    rows = [
        [
            change.model,
            short_bucket(change.bucket),
            str(change.now.n),
            with_interval(change.before),
            with_interval(change.now),
            signed_interval(change.difference),
            f"{100 * change.margin:.1f}",
            Ours("**worse**") if change.worse else "not worse",
        ]
        for change in regression.changes
    ]
    return table(rows, ["model", "ops", "n", "baseline", "tonight", "tonight - baseline", "margin", "result"])


def describe_flip(flip: Flip) -> str:
    score = flip.score
    return (
        f"{flip.model}: {score.example_id}, box {score.box}, {score.num_ops} operations: "
        f"{flip.was or 'right'} → {score.error or 'right'}"
    )


def write_history(folder: Path) -> Path:
    """history.html over the runs that are saved in a folder, into the folder above."""
    path = folder.parent / "history.html"
    return write_text(path, history_html(load_all(folder)))


def history_html(nights: Sequence[Night]) -> str:
    """A drawing and a column a model, a row a night, and what changed between the nights."""
    models = sorted(
        {name for night in nights for name in night.models if BUCKET in night.models[name].accuracies}
    )
    parts = ("suite", *SAME, *ENVIRONMENT)
    changed = [
        {},
        *(differences(one.metadata, other.metadata, parts) for one, other in pairwise(nights)),
    ]
    marked = [place for place, found in enumerate(changed) if found]
    return TEMPLATES.get_template("history.html.jinja").render(
        bucket=BUCKET,
        models=models,
        nights=list(zip(nights, changed, strict=True)),
        drawings={
            model: themed(svg(draw_history(nights, model, marked), f"night-{number}"))
            for number, model in enumerate(models)
        },
    )


def draw_history(nights: Sequence[Night], model: str, marked: Sequence[int]) -> Figure:
    """One model's accuracy with its interval; a vertical line where the environment changed."""
    found = {
        n: night.models[model].accuracies[BUCKET]
        for n, night in enumerate(nights)
        if model in night.models and BUCKET in night.models[model].accuracies
    }
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(CELL[0] * 1.25, CELL[1] * 0.7), layout="constrained")
        axes = figure.add_subplot()
        axes.set(ylabel="accuracy at 1+ (%)", xlim=(-0.5, max(len(nights) - 0.5, 4.5)))
        axes.set_title(model, loc="left", color=BASE, fontsize=9, fontweight="bold")
        axes.grid(axis="y")
        ends = sorted({0, len(nights) - 1})
        axes.set_xticks(ends, [nights[place].run[:8] for place in ends])
        for place in marked:
            axes.axvline(place - 0.5, color=MUTED, linewidth=1, dashes=(3, 2), gid=f"changed-{place}")
        values = [100 * accuracy.value for accuracy in found.values()]
        spans = [(100 * accuracy.low, 100 * accuracy.high) for accuracy in found.values()]
        axes.vlines(list(found), *zip(*spans, strict=True), color=BASE, linewidth=0.9)
        axes.plot(list(found), values, color=BASE, marker="o", markersize=4, linewidth=1.5, gid=model)
        low, high = axes.get_ylim()
        axes.set_ylim(max(low - LEAST_SPAN, 0), min(high + LEAST_SPAN, 100))
        return figure
