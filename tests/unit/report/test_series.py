"""Series of modern.toml, drawn from made-up figures that are judged like live figures."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.models.suites import load_suite
from bench.proportions import accuracy
from bench.records import Pair, Verdict
from bench.report.drawings import of_series
from bench.scoring.verdicts import judge_recorded

MODERN = load_suite("modern")


def judged(series: str) -> tuple[list[Pair], list[Verdict]]:
    """The n-th model of the series is right on 20, 25, 30, ... of 100 queries."""
    pairs = [pair for pair in MODERN.pairs if pair.series == series]
    names = dict.fromkeys(name for pair in pairs for name in (pair.base, pair.variant))
    recorded = {name: {"ops1plus": accuracy(20 + 5 * n, 100)} for n, name in enumerate(names)}
    suite = replace(MODERN, pairs=tuple(pairs), recorded=recorded)
    return pairs, judge_recorded(suite, {"ops1plus": 0.17})


@pytest.mark.parametrize("series", ["tulu-3-8b", "olmo-2-7b", "olmo-2-13b"])
def test_a_chain_is_one_line_by_step(series: str) -> None:
    pairs, verdicts = judged(series)
    axes = of_series(verdicts, MODERN.models)[f"series-{series}"].figure().axes[0]
    line = axes.lines[0]
    assert list(line.get_xdata()) == [0, 1, 2, 3]
    assert list(line.get_ydata()) == pytest.approx([20, 25, 30, 35])
    assert [tick.get_text() for tick in axes.get_xticklabels()][0] == pairs[0].base


def test_sizes_of_a_family_are_a_line_of_bases_and_one_of_variants() -> None:
    _, verdicts = judged("qwen2.5-coder")
    axes = of_series(reversed(verdicts), MODERN.models)["series-qwen2.5-coder"].figure().axes[0]
    base, variant = axes.lines[:2]
    assert list(base.get_xdata()) == list(variant.get_xdata()) == [0.5, 1.5, 3.1, 7.6, 14.8, 32.8]
    assert list(base.get_ydata()) == pytest.approx([20, 30, 40, 50, 60, 70])
    assert list(variant.get_ydata()) == pytest.approx([25, 35, 45, 55, 65, 75])


def test_a_pair_by_itself_is_no_line() -> None:
    _, verdicts = judged("tulu-3-8b")
    assert of_series(verdicts[:1], MODERN.models) == {}
