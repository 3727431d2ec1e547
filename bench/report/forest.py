"""Verdicts of a hypothesis -> a forest plot: the gain of each pair at 1+, and the gain over all pairs."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.records import Pooled, Verdict
from bench.report.figures import OUTCOMES, outcome_handles
from bench.report.style import INK, styled
from bench.scoring.sentences import FROM_COUNTS

WIDTH, ROW, AROUND = 4.8, 0.36, 0.75  # inches: as wide as a pair's figures, so that it is read on a phone
ABOVE = -0.42  # of a row: where its words stand


def draw(pooled: Pooled, verdicts: Sequence[Verdict]) -> Figure:
    """A row a pair with the interval of its test; below, a diamond as wide as the pooled interval."""
    with styled():
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
    """Above the row: what it is at the left, the gain and its interval at the right; below them, the zero."""
    axes.plot([0, 0], [place - 0.25, place + 0.3], color=INK, linewidth=0.8)
    value, low, high = (f"{100 * share:+.1f}".replace("-", "−") for share in shares)
    for left, side, words in ((0, "left", name), (1, "right", f"{value} [{low}, {high}]")):
        axes.text(left, place + ABOVE, words, transform=axes.get_yaxis_transform(), ha=side, va="center",
                  fontsize=7)  # fmt: skip
