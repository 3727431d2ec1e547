"""The first sentence of a report: the answer, the gain and its interval."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.records import Difference, Outcome, Pair, Verdict
from bench.report.panels import Panel, Section, find
from bench.scoring.verdicts import case_of


@pytest.fixture
def panel(results):
    """A pair whose gain at 1+ has an outcome and an interval, in points."""
    [main] = [verdict for verdict in results.verdicts if verdict.comparison.bucket == "ops1plus"]

    def made(variant: str, outcome: Outcome, *points: float, control=None, above=True) -> Panel:
        value, low, high = (number / 100 for number in points)
        p = 0.5 if low <= 0 <= high else 1e-6
        change: Difference = replace(main.comparison.difference, value=value, low=low, high=high, p=p)
        pair = Pair("code", "base", variant, control)
        gate = replace(main.comparison.variant_over_random, low=0.1 if above else -0.1)
        found = replace(main.comparison, pair=pair, difference=change, variant_over_random=gate)
        return Panel(pair, {"ops1plus": Verdict(outcome, "", found, case_of(found, outcome, 90))}, {})

    return made


@pytest.mark.parametrize(
    ("outcome", "points", "said"),
    [
        pytest.param(
            "better", (29.4, 27.4, 31.4), "Yes: new is 29.4 points above base [27.4, 31.4].", id="yes"
        ),
        pytest.param("worse", (-3.4, -5.6, -1.2), "No: new is 3.4 points below base [1.2, 5.6].", id="no"),
        pytest.param(
            "no difference shown",
            (0.4, -0.3, 1.1),
            "Not clear: new is 0.4 points above base [−0.3, 1.1].",
            id="open",
        ),
        pytest.param(
            "equivalent", (-0.02, -2, 2), "No: new is level with base [−2.0, 2.0].", id="no gain at all"
        ),
    ],
)
def test_a_pair_is_one_sentence_with_its_gain_and_interval(panel, outcome, points, said):
    found = find(Section("code", (panel("new", outcome, *points),), ()))
    assert (found.sentence, found.outcome, found.pairs) == (said, outcome, ())


def test_a_gain_below_random_guessing_is_no_yes(panel):
    """The interval of the variant minus guessing holds zero."""
    found = find(Section("code", (panel("new", "better", 5.5, 4.2, 6.7, above=False),), ()))
    assert found.sentence == (
        "Not clear: new is 5.5 points above base [4.2, 6.7], but it is not shown to beat random guessing."
    )
    assert found.outcome == "open"


def test_several_pairs_are_counted_and_listed(panel):
    pairs = (
        panel("a", "better", 5, 1, 9),
        panel("b", "better", 5, 1, 9),
        panel("c", "no difference shown", 0, -1, 1),
    )
    found = find(Section("code", pairs, ()))
    pooled, counted = found.sentence.split("]. ")
    assert "over 3 pairs the gain is " in pooled
    assert counted == "Yes for 2 of 3 pairs, not clear for 1."
    assert [pair.sentence.split()[1] for pair in found.pairs] == ["a", "b", "clear:"]


def test_controls_are_one_line(panel):
    positive = panel("good", "better", 60, 50, 70, control="positive")
    negative = panel("same", "no difference shown", 0, -1, 1, control="negative")
    found = find(Section("controls", (positive, negative), ()))
    assert found.sentence == "Yes: both controls behaved as expected."
    failed = panel("same", "better", 10, 5, 15, control="negative")
    assert (
        "No: the negative control same did not" in find(Section("controls", (positive, failed), ())).sentence
    )


def test_a_negative_control_that_falls_is_as_expected_and_its_loss_is_said(panel):
    found = find(Section("controls", (panel("same", "worse", -1.4, -1.8, -0.9, control="negative"),), ()))
    assert found.sentence == (
        "Yes: the control behaved as expected. "
        "The negative control same is 1.4 points below base, which is no gain."
    )


def test_a_control_that_cannot_be_told_is_open(panel):
    negative = panel("same", "too few scenarios", 9, -9, 20, control="negative")
    found = find(Section("controls", (negative,), ()))
    assert found.sentence == "Not clear: this run does not show it for the negative control same."


def test_a_hypothesis_without_a_live_pair_has_no_answer():
    assert find(Section("code", (), ())) is None
