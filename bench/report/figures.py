"""Verdicts -> figures: accuracy by number of operations, and the effects, a panel a pair, as SVG and PNG."""

from __future__ import annotations

import io
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation

from bench.records import BUCKETS, Accuracy, Pair, Suite, Verdict
from bench.report.tables import HEADINGS, short_bucket

# Okabe & Ito's palette: told apart by colour-blind readers too. Markers say the same once more.
INK, MUTED, GRID = "#24292f", "#6e7781", "#e2e5e9"
BASE, VARIANT = "#0072b2", "#d55e00"
GAIN, LOSS = "#009e73", "#aa3377"
OUTCOMES = {  # marker, colour
    "better": ("^", GAIN),
    "worse": ("v", LOSS),
    "equivalent": ("D", MUTED),
    "no difference shown": ("o", MUTED),
    "too few scenarios": ("X", MUTED),
}
STYLE = {
    "font.family": ["DejaVu Sans"],
    "font.size": 8.5,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.handletextpad": 0.5,
    "svg.fonttype": "none",  # text stays text: it can be searched, and read aloud
}
CELL = (2.8, 2.9)  # inches, of a panel and what is written around it
MARGINS = {"left": 0.5, "right": 0.1, "bottom": 0.55, "top": 0.45}
COLUMNS = 5
SECTIONS = (*HEADINGS, "controls")
BY_NUM_OPS = BUCKETS[:-1]
DODGE = 0.09  # so that the intervals of base and variant stand beside each other


@dataclass(frozen=True, slots=True)
class Panel:
    """A pair's verdicts by bucket: this run's, or the recorded ones where it has none.

    behind: the recorded ones of a pair that this run measured.
    """

    pair: Pair
    shown: Mapping[str, Verdict]
    behind: Mapping[str, Verdict]

    @property
    def live(self) -> bool:
        return any(verdict.comparison.paired for verdict in self.shown.values())


Rows = Sequence[Sequence[Panel]]


def panels(found: Iterable[Verdict], recorded: Iterable[Verdict]) -> list[Panel]:
    """A panel for every pair that was measured now or before, in the order of the recorded ones."""
    now, before = by_pair(found), by_pair(recorded)
    return [
        Panel(pair, now[pair], before.get(pair, {})) if pair in now else Panel(pair, before[pair], {})
        for pair in dict.fromkeys([*before, *now])
    ]


def by_pair(verdicts: Iterable[Verdict]) -> dict[Pair, dict[str, Verdict]]:
    grouped: dict[Pair, dict[str, Verdict]] = {}
    for verdict in verdicts:
        grouped.setdefault(verdict.comparison.pair, {})[verdict.comparison.bucket] = verdict
    return grouped


def sections(
    found: Iterable[Verdict], recorded: Iterable[Verdict], suite: Suite
) -> dict[str, list[list[Panel]]]:
    """Rows of panels by hypothesis, controls apart: measured pairs first, then those recorded only."""
    drawn = panels(found, recorded)
    code_models = {pair.variant for pair in suite.pairs if pair.hypothesis == "code" and not pair.control}
    return {
        name: [
            row
            for live in (True, False)
            for row in rows_of([p for p in chosen if p.live is live], code_models)
        ]
        for name in SECTIONS
        if (chosen := [panel for panel in drawn if section_of(panel.pair) == name])
    }


def section_of(pair: Pair) -> str:
    return "controls" if pair.control else pair.hypothesis


def rows_of(drawn: Sequence[Panel], code_models: Collection[str]) -> list[list[Panel]]:
    """At most COLUMNS panels to a row; if more, those that start from a code model stand below the others."""
    groups = [drawn]
    if len(drawn) > COLUMNS:
        groups = [
            [panel for panel in drawn if (panel.pair.base in code_models) is code] for code in (False, True)
        ]
    return [
        list(group[start : start + COLUMNS]) for group in groups for start in range(0, len(group), COLUMNS)
    ]


def draw_all(found: Iterable[Verdict], recorded: Iterable[Verdict], suite: Suite) -> dict[str, Figure]:
    """Two figures a section, by name."""
    figures: dict[str, Figure] = {}
    for name, rows in sections(found, recorded, suite).items():
        figures |= {f"{name}-accuracy": draw_hypothesis(rows), f"{name}-effects": draw_effects(rows)}
    return figures


def draw_hypothesis(rows: Rows, legend: bool = True) -> Figure:
    """Accuracy against the number of operations: base, variant, and random guessing dashed."""
    with matplotlib.rc_context(STYLE):
        figure, cells = grid(rows, legend)
        for panel, axes, leftmost in cells:
            draw_accuracy(axes, panel)
            add_labels(axes, "operations on the box", "accuracy (%)" if leftmost else "", below=24.5)
        if legend:
            add_legend(figure, accuracy_handles(), any(panel.behind for panel, _, _ in cells))
        return figure


def draw_effects(rows: Rows, legend: bool = True, span: float | None = None) -> Figure:
    """Variant minus base with its interval, bucket by bucket, as a forest plot.

    span: the x axis reaches so many points to each side; by default as far as the intervals do.
    """
    with matplotlib.rc_context(STYLE):
        figure, cells = grid(rows, legend, beside=0.38)
        span = span or effect_span([panel for panel, _, _ in cells])
        for panel, axes, leftmost in cells:
            draw_forest(axes, panel, span)
            add_labels(
                axes, "variant − base (points)", "operations on the box" if leftmost else "", below=14.5
            )
        if legend:
            add_legend(figure, effect_handles(), any(panel.behind for panel, _, _ in cells))
        return figure


def grid(rows: Rows, legend: bool, beside: float = 0.0) -> tuple[Figure, list[tuple[Panel, Axes, bool]]]:
    """A figure with a cell a panel, and whether each is the first of its row.

    All panels have one size whatever is written around them. beside: inches kept free to their right.
    """
    columns, top = max(map(len, rows)), 0.3 * legend
    width, height = CELL[0] * columns, CELL[1] * len(rows) + top
    figure = Figure(figsize=(width, height))
    for number, drawn in enumerate(rows):
        bottom = height - top - CELL[1] * (number + 1)
        for column in range(len(drawn)):
            left = CELL[0] * column + MARGINS["left"]
            size = (
                CELL[0] - MARGINS["left"] - MARGINS["right"] - beside,
                CELL[1] - MARGINS["bottom"] - MARGINS["top"],
            )
            place = (left / width, (bottom + MARGINS["bottom"]) / height, size[0] / width, size[1] / height)
            figure.add_axes(place)
    first = [column == 0 for drawn in rows for column in range(len(drawn))]
    return figure, list(zip((panel for drawn in rows for panel in drawn), figure.axes, first, strict=True))


def draw_accuracy(axes: Axes, panel: Panel) -> None:
    axes.set(xlim=(-0.45, 7.45), ylim=(0, 100), yticks=range(0, 101, 20))
    axes.grid(axis="y")
    add_title(axes, panel)
    found = [panel.shown[bucket].comparison for bucket in BY_NUM_OPS if bucket in panel.shown]
    places = [BY_NUM_OPS.index(entry.bucket) for entry in found]
    axes.set_xticks(places, map(str, places))
    beneath = axes.get_xaxis_transform() + points(axes, 0, -22)
    for place, text in zip([-0.85, *places], ["n", *(str(entry.base.n) for entry in found)], strict=True):
        axes.text(place, 0, text, transform=beneath, ha="center", fontsize=6.2, color=MUTED)
    axes.plot(
        places, [100 * entry.baseline for entry in found],
        color=MUTED, linewidth=1.1, dashes=(4, 2.5), gid=f"{panel.pair.id}/random",
    )  # fmt: skip
    for verdicts, hollow in ((panel.behind, True), (panel.shown, False)):
        compared = [verdicts[bucket].comparison for bucket in BY_NUM_OPS if bucket in verdicts]
        draw_series(axes, panel, "base", {entry.bucket: entry.base for entry in compared}, hollow)
        draw_series(axes, panel, "variant", {entry.bucket: entry.variant for entry in compared}, hollow)


def draw_series(axes: Axes, panel: Panel, role: str, found: Mapping[str, Accuracy], hollow: bool) -> None:
    """One model's line with its intervals."""
    if not found:
        return
    colour, marker, side = (BASE, "o", -1) if role == "base" else (VARIANT, "s", 1)
    places = [BY_NUM_OPS.index(bucket) + side * DODGE for bucket in found]
    values = [100 * accuracy.value for accuracy in found.values()]
    axes.plot(
        places, values,
        color=colour, marker=marker, markersize=4.2, linewidth=0.7 if hollow else 1.5,
        markerfacecolor="none" if hollow else colour, markeredgewidth=0.8, alpha=0.75 if hollow else 1,
        gid=f"{panel.pair.id}/{role}{'/recorded' if hollow else ''}", clip_on=False, zorder=3,
    )  # fmt: skip
    if not hollow:
        ends = [(100 * accuracy.low, 100 * accuracy.high) for accuracy in found.values()]
        axes.vlines(places, *zip(*ends, strict=True), color=colour, linewidth=0.9)


def draw_forest(axes: Axes, panel: Panel, span: float) -> None:
    places = {bucket: index + (bucket == "ops1plus") * 0.6 for index, bucket in enumerate(BUCKETS)}
    axes.set(xlim=(-span, span), ylim=(9.1, -0.6))
    axes.grid(axis="x")
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.set_yticks(
        [places[bucket] for bucket in panel.shown], [short_bucket(bucket) for bucket in panel.shown]
    )
    axes.axhline(8.05, color=GRID, linewidth=0.8)
    add_title(axes, panel, right=1.15)
    for verdicts, hollow in ((panel.behind, True), (panel.shown, False)):
        for bucket, verdict in verdicts.items():
            draw_effect(axes, places[bucket] + 0.3 * hollow, verdict, hollow, f"{panel.pair.id}/{bucket}")
    for bucket, verdict in panel.shown.items():
        axes.text(
            1.15, places[bucket], f"{100 * verdict.comparison.difference.value:+.1f}",
            transform=axes.get_yaxis_transform(), ha="right", va="center", fontsize=7, color=INK,
            fontweight="bold" if bucket == "ops1plus" else "normal",
        )  # fmt: skip


def draw_effect(axes: Axes, place: float, verdict: Verdict, hollow: bool, name: str) -> None:
    """One difference and its interval."""
    marker, colour = OUTCOMES[verdict.outcome]
    found = verdict.comparison.difference
    axes.plot(
        [100 * found.low, 100 * found.high], [place, place], color=colour, linewidth=0.7 if hollow else 1.5
    )
    axes.plot(
        [100 * found.value], [place],
        marker=marker, color=colour, markerfacecolor="none" if hollow else colour,
        markersize=4 if hollow else 5, markeredgewidth=0.8, gid=f"{name}{'/recorded' if hollow else ''}",
    )  # fmt: skip


def add_labels(axes: Axes, x: str, y: str, below: float) -> None:
    """Labels of the axes at a fixed place, in points: matplotlib takes long to find one beside the ticks."""
    axes.set(xlabel=x, ylabel=y)
    axes.xaxis.set_label_coords(0.5, 0, transform=axes.transAxes + points(axes, 0, -below))
    axes.yaxis.set_label_coords(0, 0.5, transform=axes.transAxes + points(axes, -22, 0))


def points(axes: Axes, right: float, up: float) -> ScaledTranslation:
    """A shift by so many points, whatever the size of the figure."""
    return ScaledTranslation(right / 72, up / 72, axes.figure.dpi_scale_trans)


def add_title(axes: Axes, panel: Panel, right: float = 1.0) -> None:
    """Base and variant in the colours of their lines: the title is the legend."""
    names = ((f"● {panel.pair.base}", BASE, 18), (f"■ {panel.pair.variant}", VARIANT, 6))
    for text, colour, above in names:
        write_above(axes, text, 0, above, color=colour, fontsize=9, fontweight="bold")
    if not panel.live:
        write_above(
            axes, "recorded counts", right, 18, color=MUTED, fontsize=7, fontstyle="italic", ha="right"
        )


def write_above(axes: Axes, text: str, place: float, up: float, **style: Any) -> None:
    axes.text(place, 1, text, transform=axes.transAxes + points(axes, 0, up), **style)


def add_legend(figure: Figure, handles: Sequence[Line2D], any_behind: bool) -> None:
    """One line above all panels, so that it covers no data."""
    hollow = Line2D([], [], color=INK, marker="o", mfc="none", linewidth=0.7, label="hollow: recorded")
    shown = [*handles, hollow] if any_behind else handles
    figure.legend(handles=shown, loc="upper left", ncols=len(shown), fontsize=8.5, borderaxespad=0.3)


def accuracy_handles() -> list[Line2D]:
    return [
        Line2D([], [], color=BASE, marker="o", markersize=4.2, linewidth=1.5, label="base, 95% interval"),
        Line2D(
            [], [], color=VARIANT, marker="s", markersize=4.2, linewidth=1.5, label="variant, 95% interval"
        ),
        Line2D([], [], color=MUTED, linewidth=1.1, dashes=(4, 2.5), label="random baseline"),
    ]


def effect_handles() -> list[Line2D]:
    return [
        Line2D([], [], color=colour, marker=marker, linewidth=1.5, markersize=5, label=outcome)
        for outcome, (marker, colour) in OUTCOMES.items()
    ]


def effect_span(drawn: Iterable[Panel]) -> float:
    """Points to each side of zero that hold every interval, in tens."""
    differences = [
        verdict.comparison.difference
        for panel in drawn
        for verdicts in (panel.shown, panel.behind)
        for verdict in verdicts.values()
    ]
    reach = max(max(abs(found.low), abs(found.high)) for found in differences)
    return 10 * (int(10 * reach) + 1)


def svg(figure: Figure, name: str) -> str:
    """The same bytes for the same figures. name: begins every id, so that one page can hold many drawings."""
    out = io.StringIO()
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": name}):
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    drawing = re.sub(r"^.*?(?=<svg)|\n? *<metadata>.*?</metadata>", "", out.getvalue(), flags=re.DOTALL)
    return re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", drawing)


def png(figure: Figure) -> bytes:
    out = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(out, format="png", dpi=160, facecolor="white", metadata={"Software": None})
    return out.getvalue()
