"""Accuracy by the tokens allowed, computed by hand."""

from __future__ import annotations

from bench.records import Evaluation, Score
from bench.report.drawings import THINKING, by_budget, of_thinking


def evaluation(thinking: dict[str, int]) -> Evaluation:
    """Example a is right after 10 tokens, b wrong after 20, c right after 30, d never ended."""
    errors = {"a": None, "b": "stale", "c": None, "d": "unread"}
    scores = tuple(Score(name, name, 0, 1, error) for name, error in errors.items())
    return Evaluation("m", {}, scores, {}, "think/1", {}, thinking=thinking)


def test_an_answer_counts_where_its_thinking_fits() -> None:
    spent = {"a": 10, "b": 20, "c": 30, "d": 64}
    assert by_budget(evaluation(spent)) == [(0, 0.0), (10, 0.25), (30, 0.5), (64, 0.5)]
    (line,) = of_thinking([evaluation(spent)])[THINKING].figure().axes[0].lines
    assert list(line.get_ydata()) == [0, 25, 50, 50]


def test_models_that_do_not_think_have_no_figure() -> None:
    assert of_thinking([evaluation({})]) == {}
