"""Counts of errors, accuracies by factor -> figures of what models get wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from bench.records import BUCKETS, Accuracy, ErrorKind
from bench.report.style import BASE, ERRORS, MUTED, VARIANT, draw_intervals, styled
from bench.report.tables import short_bucket
from bench.scoring.scores import ERROR_KINDS

SIZE = (4.8, 3.6)  # inches
ROLES = ((BASE, "o", -1), (VARIANT, "s", 1))  # colour, marker and side of base and variant
Factors = Mapping[str, Mapping[str, Accuracy]]
Errors = Mapping[str, Counter[ErrorKind | None]]  # by bucket; None counts the right ones


def draw_errors(errors: Mapping[str, Errors]) -> Figure:
    """The share of each kind of error by bucket, stacked. One panel per model, base first."""
    with styled():
        figure = Figure(figsize=SIZE, layout="constrained")
        for axes, (model, found), (colour, _, _) in zip(
            figure.subplots(1, 2, sharey=True), errors.items(), ROLES, strict=True
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


def draw_factors(factors: Mapping[str, Factors]) -> Figure:
    """Accuracy of base and variant at 1+, by last operation, objects, operations and box."""
    with styled():
        figure = Figure(figsize=SIZE, layout="constrained")
        names = list(next(iter(factors.values())))
        for axes, factor in zip(figure.subplots(2, 2, sharey=True).flat, names, strict=True):
            for found, role in zip(factors.values(), ROLES, strict=True):
                draw_levels(axes, found[factor], *role)
            axes.set(xlabel=factor, ylim=(0, 100), yticks=range(0, 101, 25))
            axes.grid(axis="y")
        figure.supylabel("accuracy at 1+ (%)", fontsize=8.5)
        handles = [
            Line2D([], [], color=colour, marker=marker, markersize=4, linewidth=1.2, label=model)
            for model, (colour, marker, _) in zip(factors, ROLES, strict=True)
        ]
        interval = Line2D(
            [], [], color=MUTED, marker="|", markersize=9, linestyle="none", label="95% interval"
        )
        figure.legend(handles=[*handles, interval], loc="outside upper left", ncols=3, fontsize=7.5)
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
