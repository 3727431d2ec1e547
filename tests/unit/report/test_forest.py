"""The forest plot of a hypothesis: one row per pair, and a diamond over the pooled interval."""

from __future__ import annotations

import pytest

from bench.report.drawings import of_hypotheses
from bench.report.published import published_results
from bench.scoring.pooling import pool_all


def test_every_hypothesis_has_a_plot_with_its_pairs_and_their_pooled_gain() -> None:
    verdicts = published_results().verdicts
    figures = of_hypotheses(verdicts)
    assert sorted(figures) == ["alignment-forest", "code-forest", "math-forest"]
    pooled = {entry.hypothesis: entry for entry in pool_all(verdicts)}
    for hypothesis, pairs in (("code", 5), ("math", 5), ("alignment", 10)):
        axes = figures[f"{hypothesis}-forest"].figure().axes[0]
        assert len([line for line in axes.lines if line.get_gid()]) == pairs
        [diamond] = axes.patches
        reach = sorted(diamond.get_xy()[:, 0])
        assert (reach[0], reach[-1]) == pytest.approx(
            (100 * pooled[hypothesis].low, 100 * pooled[hypothesis].high)
        )
        assert "from counts" in axes.get_xlabel()


def test_a_pair_by_itself_has_no_forest() -> None:
    verdicts = published_results().verdicts
    pair = verdicts[0].comparison.pair
    assert of_hypotheses([verdict for verdict in verdicts if verdict.comparison.pair == pair]) == {}
