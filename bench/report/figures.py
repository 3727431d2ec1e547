"""Pairs -> figures: accuracy by number of operations, effects, kinds of errors, accuracy by other factors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from math import ceil, floor

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from bench.records import BUCKETS, Accuracy, ErrorKind, Verdict
from bench.report.drawings import (
    BASE,
    ERRORS,
    GAIN,
    GRID,
    INK,
    LOSS,
    MUTED,
    VARIANT,
    draw_intervals,
    styled,
)
from bench.report.panels import Panel, Rows
from bench.report.tables import short_bucket
from bench.scoring.scores import ERROR_KINDS
from bench.scoring.sentences import FROM_COUNTS

OUTCOMES = {  # marker, colour
    "better": ("^", GAIN),
    "worse": ("v", LOSS),
    "equivalent": ("D", MUTED),
    "no difference shown": ("o", MUTED),
    "too few scenarios": ("X", MUTED),
}
ROLES = {"base": (BASE, "o", -1), "variant": (VARIANT, "s", 1)}  # colour, marker, side
CELL = (2.8, 2.9)  # inches, of a panel among others
SIZE = (4.8, 3.6)  # inches, of a figure of errors
BY_NUM_OPS = BUCKETS[:-1]
DODGE = 0.09  # shift that keeps the intervals of base and variant apart
Errors = Mapping[str, Counter[ErrorKind | None]]  # by bucket; None counts the right ones
Factors = Mapping[str, Mapping[str, Accuracy]]


@styled()
def draw_hypothesis(rows: Rows, cell: tuple[float, float] = CELL) -> Figure:
    """Accuracy against the number of operations: base, variant, and random guessing dashed."""
    figure, cells = grid(rows, cell)
    for panel, axes, leftmost in cells:
        draw_accuracy(axes, panel)
        axes.set(xlabel="operations on the box, n below", ylabel="accuracy (%)" if leftmost else "")
    guessing = Line2D([], [], color=MUTED, linewidth=1.1, dashes=(4, 2.5), label="random guessing")
    add_legend(figure, [guessing, interval_handle(INK)], [panel for panel, _, _ in cells])
    return figure


@styled()
def draw_effects(rows: Rows, cell: tuple[float, float] = CELL) -> Figure:
    """A forest plot of variant minus base with its interval, by bucket. All panels share a scale."""
    figure, cells = grid(rows, cell)
    panels = [panel for panel, _, _ in cells]
    drawn = [
        verdict
        for panel in panels
        for verdicts in (panel.shown, panel.behind)
        for bucket, verdict in verdicts.items()
        if bucket in panel.shown
    ]
    limits = effect_limits(drawn)
    for panel, axes, leftmost in cells:
        draw_forest(axes, panel, limits)
        axes.set(xlabel="variant − base (points)", ylabel="operations on the box" if leftmost else "")
    add_legend(figure, outcome_handles({verdict.outcome for verdict in drawn}), panels)
    return figure


def grid(rows: Rows, cell: tuple[float, float]) -> tuple[Figure, list[tuple[Panel, Axes, bool]]]:
    """A figure with one cell per panel, and whether each panel is the first of its row."""
    columns = max(map(len, rows))
    figure = Figure(figsize=(cell[0] * columns, cell[1] * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), columns, squeeze=False, gridspec_kw={"wspace": 0.08})
    cells = []
    for row, panels in zip(axes, rows, strict=True):
        cells += [(panel, place, place is row[0]) for panel, place in zip(panels, row, strict=False)]
        for empty in row[len(panels) :]:
            empty.remove()
    return figure, cells


def draw_accuracy(axes: Axes, panel: Panel) -> None:
    axes.set(xlim=(-0.45, 7.45), ylim=(0, 100), yticks=range(0, 101, 20))
    axes.grid(axis="y")
    found = [panel.shown[bucket].comparison for bucket in BY_NUM_OPS if bucket in panel.shown]
    places = [BY_NUM_OPS.index(entry.bucket) for entry in found]
    labels = [f"{place}\n{entry.base.n}" for place, entry in zip(places, found, strict=True)]
    axes.set_xticks(places, labels)
    axes.plot(
        places, [100 * entry.baseline for entry in found],
        color=MUTED, linewidth=1.1, dashes=(4, 2.5), gid=f"{panel.pair.id}/random",
    )  # fmt: skip
    for verdicts, hollow in ((panel.behind, True), (panel.shown, False)):
        compared = [verdicts[bucket].comparison for bucket in BY_NUM_OPS if bucket in verdicts]
        for role in ROLES:
            draw_series(axes, panel, role, {entry.bucket: getattr(entry, role) for entry in compared}, hollow)
    add_names(axes, panel)


def draw_series(axes: Axes, panel: Panel, role: str, found: Mapping[str, Accuracy], hollow: bool) -> None:
    """One model's line with its intervals."""
    if not found:
        return
    colour, marker, side = ROLES[role]
    places = [BY_NUM_OPS.index(bucket) + side * DODGE for bucket in found]
    values = [100 * accuracy.value for accuracy in found.values()]
    axes.plot(
        places, values,
        color=colour, marker=marker, markersize=4.2, linewidth=0.7 if hollow else 1.5,
        markerfacecolor="none" if hollow else colour, markeredgewidth=0.8, alpha=0.75 if hollow else 1,
        gid=f"{panel.pair.id}/{role}{'/recorded' if hollow else ''}", clip_on=False, zorder=3,
    )  # fmt: skip
    if not hollow:
        draw_intervals(axes, places, found.values(), colour)


def draw_forest(axes: Axes, panel: Panel, limits: tuple[float, float]) -> None:
    places = {bucket: index + (bucket == "ops1plus") * 0.6 for index, bucket in enumerate(BUCKETS)}
    axes.set(xlim=limits, ylim=(9.1, -0.6))
    axes.grid(axis="x")
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.set_yticks(
        [places[bucket] for bucket in panel.shown], [short_bucket(bucket) for bucket in panel.shown]
    )
    axes.axhline(8.05, color=GRID, linewidth=0.8)
    for verdicts, hollow in ((panel.behind, True), (panel.shown, False)):
        for bucket, verdict in verdicts.items():
            if bucket in panel.shown:
                name = f"{panel.pair.id}/{bucket}"
                draw_effect(axes, places[bucket] + 0.3 * hollow, verdict, hollow, name)
    for bucket, verdict in panel.shown.items():
        axes.annotate(
            f"{100 * verdict.comparison.difference.value:+.1f}".replace("-", "−"), (1, places[bucket]),
            xycoords=axes.get_yaxis_transform(), xytext=(32, 0), textcoords="offset points",
            ha="right", va="center", fontsize=7, color=INK,
            fontweight="bold" if bucket == "ops1plus" else "normal",
        )  # fmt: skip
    axes.set_title(f"{panel.pair.variant}\n− {panel.pair.base}", loc="left", fontsize=8.5, fontweight="bold")


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
        clip_on=False,
    )  # fmt: skip


def add_names(axes: Axes, panel: Panel) -> None:
    """Base and variant above the panel, in the colours and markers of their lines."""
    handles = [
        Line2D([], [], color=colour, marker=marker, markersize=4.2, linewidth=1.5, label=name)
        for name, (colour, marker, _) in zip(
            (panel.pair.base, panel.pair.variant), ROLES.values(), strict=True
        )
    ]
    axes.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(-0.02, 1.0), labelcolor="linecolor",
        prop={"size": 8.5, "weight": "bold"}, labelspacing=0.2,
    )  # fmt: skip


def add_legend(figure: Figure, handles: Sequence[Line2D], panels: Sequence[Panel]) -> None:
    """One line above all panels. It names only the symbols that are drawn."""
    drawn = list(handles)
    if any(panel.behind for panel in panels):
        drawn.append(
            Line2D([], [], color=INK, marker="o", mfc="none", linewidth=0.7, label="recorded before")
        )
    counted = not all(panel.main.comparison.paired for panel in panels)
    figure.legend(
        handles=drawn, loc="outside upper left", ncols=len(drawn), fontsize=7.5, columnspacing=1.2,
        title=FROM_COUNTS if counted else None, title_fontsize=7.5, alignment="left",
    )  # fmt: skip


def interval_handle(colour: str) -> Line2D:
    return Line2D([], [], color=colour, marker="|", markersize=9, linestyle="none", label="95% interval")


def outcome_handles(found: Collection[str]) -> list[Line2D]:
    return [
        Line2D([], [], color=colour, marker=marker, linewidth=1.5, markersize=5, label=outcome)
        for outcome, (marker, colour) in OUTCOMES.items()
        if outcome in found
    ]


def effect_limits(drawn: Sequence[Verdict]) -> tuple[float, float]:
    """Limits in points, multiples of ten. They include every interval and ten points on each side of zero."""
    differences = [verdict.comparison.difference for verdict in drawn]
    low = min(-0.1, *(found.low for found in differences))
    high = max(0.1, *(found.high for found in differences))
    return 10 * floor(10 * low), 10 * ceil(10 * high)


@styled()
def draw_errors(errors: Mapping[str, Errors]) -> Figure:
    """The share of each kind of error by bucket, stacked. One panel per model, base first."""
    figure = Figure(figsize=SIZE, layout="constrained")
    for axes, (model, found), (colour, _, _) in zip(
        figure.subplots(1, 2, sharey=True), errors.items(), ROLES.values(), strict=True
    ):
        draw_stacks(axes, found)
        axes.set_title(model, loc="left", color=colour, fontsize=8.5, fontweight="bold")
        axes.set(xlabel="operations on the box", ylim=(0, 100), yticks=range(0, 101, 20))
        axes.grid(axis="y")
    figure.axes[0].set_ylabel("boxes that are wrong (%)")
    handles = [Patch(color=ERRORS[kind], label=kind) for kind in ERROR_KINDS]
    figure.legend(handles=handles, loc="outside upper left", ncols=5, fontsize=7.5, columnspacing=1.2)
    return figure


def draw_stacks(axes: Axes, errors: Errors) -> None:
    """One bar per bucket. The rest up to 100% is right."""
    shown = {bucket: counts for bucket, counts in errors.items() if counts.total()}
    places = [BUCKETS.index(bucket) + 0.4 * (bucket == "ops1plus") for bucket in shown]
    axes.set_xticks(places, map(short_bucket, shown))
    bottom = [0.0] * len(shown)
    for kind in ERROR_KINDS:
        shares = [100 * counts[kind] / counts.total() for counts in shown.values()]
        axes.bar(places, shares, bottom=bottom, color=ERRORS[kind], width=0.78)
        bottom = [below + share for below, share in zip(bottom, shares, strict=True)]


@styled()
def draw_factors(factors: Mapping[str, Factors]) -> Figure:
    """Accuracy of base and variant at 1+, by last operation, objects, operations and box."""
    figure = Figure(figsize=SIZE, layout="constrained")
    names = list(next(iter(factors.values())))
    for axes, factor in zip(figure.subplots(2, 2, sharey=True).flat, names, strict=True):
        for found, role in zip(factors.values(), ROLES.values(), strict=True):
            draw_levels(axes, found[factor], *role)
        axes.set(xlabel=factor, ylim=(0, 100), yticks=range(0, 101, 25))
        axes.grid(axis="y")
    figure.supylabel("accuracy at 1+ (%)", fontsize=8.5)
    handles = [
        Line2D([], [], color=colour, marker=marker, markersize=4, linewidth=1.2, label=model)
        for model, (colour, marker, _) in zip(factors, ROLES.values(), strict=True)
    ]
    handles.append(interval_handle(MUTED))
    figure.legend(handles=handles, loc="outside upper left", ncols=3, fontsize=7.5)
    return figure


def draw_levels(axes: Axes, found: Mapping[str, Accuracy], colour: str, marker: str, side: int) -> None:
    if not found:  # no box was changed
        return
    places = [place + 0.08 * side for place in range(len(found))]
    axes.set_xticks(range(len(found)), found)
    ordered = all(level.isdecimal() for level in found)
    axes.plot(
        places, [100 * accuracy.value for accuracy in found.values()],
        color=colour, marker=marker, markersize=3.6, linewidth=1.2 if ordered else 0, zorder=3, clip_on=False,
    )  # fmt: skip
    draw_intervals(axes, places, found.values(), colour)
