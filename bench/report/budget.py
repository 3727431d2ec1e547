"""Evaluations of models that think -> accuracy against the tokens that they may spend on it.

Decoding is greedy, so a smaller budget gives the same thoughts, cut. One run therefore tells every smaller
budget: an answer counts where its thinking fits.
"""

from __future__ import annotations

from collections.abc import Iterable

import matplotlib
from matplotlib.figure import Figure

from bench.records import Evaluation, in_bucket
from bench.report.figures import CELL
from bench.report.style import BASE, GAIN, LOSS, MUTED, STYLE, VARIANT

Points = list[tuple[int, float]]  # tokens, accuracy in [0, 1]
THINKING = "thinking-budget"  # the figure's name
COLOURS = (BASE, VARIANT, GAIN, LOSS, MUTED)


def draw_all(evaluations: Iterable[Evaluation]) -> dict[str, Figure]:
    """One figure of all models that think; none where there is no such model."""
    thinkers = [evaluation for evaluation in evaluations if evaluation.thinking]
    if not thinkers:
        return {}
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(1.6 * CELL[0], CELL[1]), layout="constrained")
        axes = figure.add_subplot()
        axes.set_prop_cycle(color=COLOURS)
        for evaluation in thinkers:
            budgets, shares = zip(*by_budget(evaluation), strict=True)
            axes.step(budgets, [100 * share for share in shares], where="post", label=evaluation.model)
        axes.set(ylim=(0, 100), xlabel="tokens of thinking allowed", ylabel="accuracy, 1+ operations (%)")
        axes.grid(axis="y")
        axes.legend(loc="upper left")
        return {THINKING: figure}


def by_budget(evaluation: Evaluation, bucket: str = "ops1plus") -> Points:
    """Accuracy at each number of tokens where it changes, from 0 to the most that was spent."""
    asked = [score for score in evaluation.scores if in_bucket(score.num_ops, bucket)]
    spent = sorted(evaluation.thinking[score.example_id] for score in asked if score.correct)
    points: Points = [(0, 0.0)]
    for right, tokens in enumerate(spent, start=1):
        points.append((tokens, right / len(asked)))
    points.append((max(evaluation.thinking.values()), len(spent) / max(len(asked), 1)))
    return sorted(dict(points).items())
