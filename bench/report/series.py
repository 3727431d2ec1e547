"""Comparisons of a series -> a line by step, where each pair continues the one before, else lines by size.

Models that think -> a line by the tokens that they may spend.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.records import Accuracy, Comparison, Pair
from bench.report.drawings import Points
from bench.report.figures import CELL
from bench.report.style import BASE, GAIN, LOSS, MUTED, VARIANT, draw_intervals, styled

Point = tuple[float, Accuracy]


def draw(name: str, found: Sequence[Comparison], sizes: Sequence[float]) -> Figure:
    """Accuracy with 1 or more operations, with its interval, and random guessing dashed.

    sizes: of the bases, in billions of parameters.
    """
    with styled():
        figure = Figure(figsize=(1.6 * CELL[0], CELL[1]), layout="constrained")
        axes = figure.add_subplot()
        if is_chain([compared.pair for compared in found]):
            draw_steps(axes, found)
        else:
            draw_sizes(axes, found, sizes)
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


def draw_sizes(axes: Axes, found: Sequence[Comparison], sizes: Sequence[float]) -> None:
    """Bases and variants, each a line over the size of the model."""
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


def draw_budgets(points: Mapping[str, Points]) -> Figure:
    """Accuracy of each model that thinks against the tokens that it may spend on it."""
    with styled():
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
