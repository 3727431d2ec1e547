"""Verdicts of a series -> a line by step, where each pair continues the one before, else lines by size."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.records import Accuracy, Comparison, ModelEntry, Pair, Verdict
from bench.report.figures import CELL
from bench.report.style import BASE, MUTED, STYLE, VARIANT, draw_intervals

MAIN = "ops1plus"
Point = tuple[float, Accuracy]


def draw_all(verdicts: Iterable[Verdict], models: Mapping[str, ModelEntry]) -> dict[str, Figure]:
    """A figure for each series that has two pairs or more, by name."""
    found: dict[str, list[Comparison]] = {}
    for verdict in verdicts:
        compared = verdict.comparison
        if compared.pair.series and compared.bucket == MAIN:
            found.setdefault(compared.pair.series, []).append(compared)
    return {f"series-{name}": draw(name, pairs, models) for name, pairs in found.items() if len(pairs) > 1}


def draw(name: str, found: Sequence[Comparison], models: Mapping[str, ModelEntry]) -> Figure:
    """Accuracy with 1 or more operations, with its interval, and random guessing dashed."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(1.6 * CELL[0], CELL[1]), layout="constrained")
        axes = figure.add_subplot()
        if is_chain([compared.pair for compared in found]):
            draw_steps(axes, found)
        else:
            draw_sizes(axes, found, models)
        axes.axhline(100 * found[0].baseline, color=MUTED, linewidth=1.1, dashes=(4, 2.5))
        axes.set(ylim=(0, 100), ylabel="accuracy, 1+ operations (%)", title=name)
        axes.grid(axis="y")
        return figure


def is_chain(pairs: Sequence[Pair]) -> bool:
    """Whether each pair's base is the variant of the one before."""
    return all(before.variant == after.base for before, after in pairwise(pairs))


def draw_steps(axes: Axes, found: Sequence[Comparison]) -> None:
    """One line from the first base to the last variant."""
    accuracies = [found[0].base, *(compared.variant for compared in found)]
    draw_line(axes, list(enumerate(accuracies)), VARIANT, "s", "trained step by step")
    names = [found[0].pair.base, *(compared.pair.variant for compared in found)]
    axes.set_xticks(range(len(names)), names)


def draw_sizes(axes: Axes, found: Sequence[Comparison], models: Mapping[str, ModelEntry]) -> None:
    """Bases and variants, each a line over the size of the model."""
    sizes = [models[compared.pair.base].parameters or 1.0 for compared in found]
    for role, colour, marker in (("base", BASE, "o"), ("variant", VARIANT, "s")):
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
