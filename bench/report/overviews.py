"""Figures of several pairs or models: gains of a hypothesis, lines of a series, accuracy by thinking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.records import Accuracy, Comparison, Pooled, Verdict
from bench.report.drawings import BASE, GAIN, INK, LOSS, MUTED, VARIANT, Points, draw_intervals, styled
from bench.report.figures import CELL, OUTCOMES, ROLES, outcome_handles
from bench.scoring.sentences import FROM_COUNTS

WIDTH, ROW, AROUND = 4.8, 0.36, 0.75  # inches: as wide as a pair's figures, so that it is read on a phone
ABOVE = -0.42  # position of a row's text
Point = tuple[float, Accuracy]


@styled()
def draw_pooled_gains(pooled: Pooled, verdicts: Sequence[Verdict]) -> Figure:
    """One row per pair with the interval of its test. Below is a diamond as wide as the pooled interval."""
    height = ROW * (len(verdicts) + 1) + AROUND
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.add_subplot()
    for place, verdict in enumerate(verdicts):
        draw_pair(axes, place, verdict)
    last = len(verdicts) + 0.3
    draw_pooled(axes, last, pooled)
    counts = "" if all(v.comparison.paired for v in verdicts) else f", {FROM_COUNTS}"
    axes.set(ylim=(last + 0.5, -0.8), yticks=[], xlabel=f"variant − base at 1+ (points{counts})")
    axes.spines.left.set_visible(False)
    axes.grid(axis="x")
    handles = outcome_handles({verdict.outcome for verdict in verdicts})
    figure.legend(handles=handles, loc="outside upper left", ncols=len(handles))
    return figure


def draw_pair(axes: Axes, place: int, verdict: Verdict) -> None:
    marker, colour = OUTCOMES[verdict.outcome]
    found = verdict.comparison.difference
    axes.plot([100 * found.low, 100 * found.high], [place, place], color=colour, linewidth=1.5)
    axes.plot([100 * found.value], [place], marker=marker, color=colour, markersize=5,
              gid=f"{verdict.comparison.pair.id}/forest")  # fmt: skip
    pair = verdict.comparison.pair
    write_words(axes, place, f"{pair.base} → {pair.variant}", found.value, found.low, found.high)


def draw_pooled(axes: Axes, place: float, pooled: Pooled) -> None:
    corners = [100 * pooled.low, 100 * pooled.value, 100 * pooled.high, 100 * pooled.value]
    axes.fill(corners, [place, place - 0.2, place, place + 0.2], color=INK, gid=f"{pooled.hypothesis}/pooled")
    all_pairs = f"all {pooled.pairs} pairs, random effects"
    write_words(axes, place, all_pairs, pooled.value, pooled.low, pooled.high)


def write_words(axes: Axes, place: float, name: str, *shares: float) -> None:
    """Write the name above the row, and the gain with its interval at the right. Draw the zero line."""
    axes.plot([0, 0], [place - 0.25, place + 0.3], color=INK, linewidth=0.8)
    value, low, high = (f"{100 * share:+.1f}".replace("-", "−") for share in shares)
    for left, side, words in ((0, "left", name), (1, "right", f"{value} [{low}, {high}]")):
        axes.text(left, place + ABOVE, words, transform=axes.get_yaxis_transform(), ha=side, va="center",
                  fontsize=7)  # fmt: skip


@styled()
def draw_chain_or_sizes(name: str, found: Sequence[Comparison], sizes: Sequence[float]) -> Figure:
    """Accuracy with 1 or more operations, with its interval, and random guessing dashed.

    sizes: of the bases, in billions of parameters.
    """
    figure = Figure(figsize=(1.6 * CELL[0], CELL[1]), layout="constrained")
    axes = figure.add_subplot()
    if all(before.pair.variant == after.pair.base for before, after in pairwise(found)):  # a chain
        draw_steps(axes, found)
    else:
        draw_sizes(axes, found, sizes)
    axes.axhline(100 * found[0].baseline, color=MUTED, linewidth=1.1, dashes=(4, 2.5))
    axes.set(ylim=(0, 100), ylabel="accuracy, 1+ operations (%)", title=name)
    axes.grid(axis="y")
    return figure


def draw_steps(axes: Axes, found: Sequence[Comparison]) -> None:
    """One line from the first base to the last variant."""
    accuracies = [found[0].base, *(compared.variant for compared in found)]
    draw_line(axes, list(enumerate(accuracies)), VARIANT, "s", "trained step by step")
    names = [found[0].pair.base, *(compared.pair.variant for compared in found)]
    axes.set_xticks(range(len(names)), names)


def draw_sizes(axes: Axes, found: Sequence[Comparison], sizes: Sequence[float]) -> None:
    """One line for the bases and one for the variants, over model size."""
    for role, (colour, marker, _) in ROLES.items():
        points = zip(sizes, (getattr(compared, role) for compared in found), strict=True)
        draw_line(axes, sorted(points, key=lambda point: point[0]), colour, marker, role)
    axes.set_xscale("log")
    axes.set_xticks(sizes, [f"{size:g}" for size in sizes], minor=False)
    axes.set_xticks([], minor=True)
    axes.set_xlabel("parameters (billions)")
    axes.legend(loc="upper left")


def draw_line(axes: Axes, points: Sequence[Point], colour: str, marker: str, label: str) -> None:
    places, found = zip(*points, strict=True)
    axes.plot(places, [100 * one.value for one in found], color=colour, marker=marker, label=label, gid=label)
    draw_intervals(axes, places, found, colour)


@styled()
def draw_budgets(points: Mapping[str, Points]) -> Figure:
    """Accuracy of each model that thinks, by the number of thinking tokens allowed."""
    figure = Figure(figsize=(1.6 * CELL[0], CELL[1]), layout="constrained")
    axes = figure.add_subplot()
    axes.set_prop_cycle(color=(BASE, VARIANT, GAIN, LOSS, MUTED))
    for model, found in points.items():
        budgets, shares = zip(*found, strict=True)
        axes.step(budgets, [100 * share for share in shares], where="post", label=model)
    axes.set(ylim=(0, 100), xlabel="tokens of thinking allowed", ylabel="accuracy, 1+ operations (%)")
    axes.grid(axis="y")
    axes.legend(loc="upper left")
    return figure
