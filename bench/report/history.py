"""Nights -> history.html: each pair's gain and each model's accuracy over the nights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from matplotlib.figure import Figure

from bench.nights.files import load_all
from bench.nights.regression import ENVIRONMENT, SAME, Night, SavedGain, differences
from bench.outputs import write_text
from bench.records import Accuracy
from bench.report.drawings import BASE, GAIN, MUTED, draw_intervals, styled, svg
from bench.report.page import HELPERS, TEMPLATES, themed
from bench.report.tabular import Column, Kind, Table

BUCKET = "ops1plus"
LEAST_SPAN = 4  # points above and below, so that a change smaller than a margin looks small
SIZE = (4.8, 2.2)  # size of a drawing in inches
GAINS_CAPTION = "Variant minus base in points, on boxes with 1 or more operations."
ACCURACIES_CAPTION = "Accuracy in percent, on boxes with 1 or more operations."
Found = Accuracy | SavedGain


def write_history(folder: Path) -> Path:
    """Write history.html over the saved runs of a folder, into its parent folder."""
    path = folder.parent / "history.html"
    return write_text(path, history_html(load_all(folder)))


def history_html(nights: Sequence[Night]) -> str:
    """Each pair's gain and each model's accuracy at 1+ over the nights, and other changes between them."""
    parts = ("suite", *SAME, *ENVIRONMENT)
    changed = [{}, *(differences(one.metadata, other.metadata, parts) for one, other in pairwise(nights))]
    marked = [place for place, found in enumerate(changed) if found]
    gains = by_name([night.gains for night in nights])
    models = by_name([accuracies_of(night) for night in nights])
    lines = [
        *(draw_line(nights, name, "gain (points)", found, marked, GAIN) for name, found in gains.items()),
        *(draw_line(nights, name, "accuracy (%)", found, marked, BASE) for name, found in models.items()),
    ]
    return TEMPLATES.get_template("history.html.jinja").render(
        nights=nights,
        drawings=[themed(svg(figure, f"night-{number}")) for number, figure in enumerate(lines)],
        names=[*gains, *models],
        history=[
            table_of(nights, "gains", GAINS_CAPTION, gains, "gain"),
            table_of(nights, "accuracies", ACCURACIES_CAPTION, models, "interval"),
        ],
        changed=[(nights[place].name or nights[place].run, changed[place]) for place in marked],
        **HELPERS,
    )


def accuracies_of(night: Night) -> dict[str, Accuracy]:
    return {
        name: saved.accuracies[BUCKET] for name, saved in night.models.items() if BUCKET in saved.accuracies
    }


def by_name(by_night: Sequence[Mapping[str, Found]]) -> dict[str, dict[int, Found]]:
    """The figures by name, then by number of the night."""
    names = dict.fromkeys(name for found in by_night for name in found)
    return {name: {n: found[name] for n, found in enumerate(by_night) if name in found} for name in names}


def table_of(
    nights: Sequence[Night], name: str, caption: str, found: Mapping[str, Mapping[int, Found]], kind: Kind
) -> Table:
    """One row per night, one column per pair or model."""
    columns = (Column("saved as"), Column("run"), *(Column(heading, kind) for heading in found))
    rows = [
        (night.name, night.run, *(values.get(number) for values in found.values()))
        for number, night in enumerate(nights)
    ]
    return Table(name, caption, columns, tuple(rows))


@styled()
def draw_line(
    nights: Sequence[Night],
    name: str,
    what: str,
    found: Mapping[int, Found],
    marked: Sequence[int],
    colour: str,
) -> Figure:
    """Values with their intervals by night, in percent. A dashed line marks another change."""
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.add_subplot()
    axes.set(ylabel=f"{what} at 1+", xlim=(-0.5, max(len(nights) - 0.5, 4.5)))
    axes.set_title(name.replace("..", " → "), loc="left", color=colour, fontsize=9, fontweight="bold")
    axes.grid(axis="y")
    ends = sorted({0, len(nights) - 1})
    axes.set_xticks(ends, [nights[place].name or nights[place].run[:8] for place in ends])
    for place in marked:
        axes.axvline(place - 0.5, color=MUTED, linewidth=1, dashes=(3, 2), gid=f"changed-{place}")
    values = [100 * entry.value for entry in found.values()]
    draw_intervals(axes, list(found), found.values(), colour)
    axes.plot(list(found), values, color=colour, marker="o", markersize=4, linewidth=1.5, gid=name)
    low, high = axes.get_ylim()
    axes.set_ylim(max(low - LEAST_SPAN, -100), min(high + LEAST_SPAN, 100))
    return figure
