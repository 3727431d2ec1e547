"""Accuracies -> a figure for notebooks, in the style of the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from matplotlib.figure import Figure

from bench.records import Accuracy, Pair, Verdict
from bench.report.drawings import ALONE, BASE, MUTED, draw_intervals, png, styled
from bench.report.figures import BY_NUM_OPS, draw_hypothesis
from bench.report.panels import Panel


def draw_model(name: str, found: Mapping[str, Accuracy], random: Mapping[str, float]) -> Figure:
    """One model's line with its intervals. The dashed line is random guessing."""
    buckets = [bucket for bucket in BY_NUM_OPS if bucket in found]
    places = [BY_NUM_OPS.index(bucket) for bucket in buckets]
    values = [100 * found[bucket].value for bucket in buckets]
    with styled():
        figure = Figure(figsize=(4.2, 3.2), layout="constrained")
        axes = figure.add_subplot(
            xlabel="operations on the box", ylabel="accuracy (%)", title=name, ylim=(0, 101), xticks=places
        )
        axes.plot(
            places, [100 * random[bucket] for bucket in buckets],
            color=MUTED, dashes=(4, 2.5), label="random guessing",
        )  # fmt: skip
        axes.plot(places, values, color=BASE, marker="o", markersize=4.2, label="95% interval")
        draw_intervals(axes, places, [found[bucket] for bucket in buckets], BASE)
        axes.grid(axis="y")
        axes.legend()
    return shown(figure)


def draw_pair(pair: Pair, verdicts: Sequence[Verdict]) -> Figure:
    """Both models of a pair, drawn as in the report."""
    by_bucket = {verdict.comparison.bucket: verdict for verdict in verdicts}
    return shown(draw_hypothesis([[Panel(pair, by_bucket, {})]], ALONE))


def shown(figure: Figure) -> Figure:
    """The figure, made displayable in notebooks without pyplot."""
    vars(figure)["_repr_png_"] = partial(png, figure)
    return figure
