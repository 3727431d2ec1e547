"""A control has the same result in pytest, in the terminal, in the report and on the page."""

from __future__ import annotations

import pytest

from bench.plugin.cases import Contradicted, require_supported
from bench.plugin.terminal import finding_of
from bench.proportions import accuracy
from bench.records import Pair, Verdict
from bench.report.panels import Panel, Section, find
from bench.scoring.verdicts import compare_recorded, judge


def verdict_of(control: str, variant: int) -> Verdict:
    """A base that is right on 300 of 1,000."""
    pair = Pair("code", "base", "variant", control)  # type: ignore[arg-type]
    counts = [{"ops1plus": accuracy(right, 1000)} for right in (300, variant)]
    return judge(compare_recorded(pair, *counts, baseline={"ops1plus": 0.2})[0], cases=90)


def said_by_pytest(verdict: Verdict) -> str:
    try:
        require_supported(verdict)
    except Contradicted:
        return "failed"
    except pytest.xfail.Exception:
        return "xfailed"
    return "passed"


@pytest.mark.parametrize(
    ("control", "variant", "case", "terminal", "page"),
    [
        pytest.param("negative", 310, "passed", "control as expected", "Yes", id="negative, no gain"),
        pytest.param("negative", 200, "passed", "worse: control as expected", "Yes", id="negative, a loss"),
        pytest.param("negative", 345, "xfailed", "better: control open", "Not clear", id="negative, chance"),
        pytest.param("negative", 400, "failed", "control not as expected", "No", id="negative, a gain"),
        pytest.param("positive", 400, "passed", "control as expected", "Yes", id="positive, a gain"),
        pytest.param("positive", 310, "failed", "control not as expected", "No", id="positive, no gain"),
    ],
)
def test_pytest_terminal_report_and_page_agree(control, variant, case, terminal, page):
    verdict = verdict_of(control, variant)
    shown = find(Section("controls", (Panel(verdict.comparison.pair, {"ops1plus": verdict}, {}),), ()))
    assert said_by_pytest(verdict) == case
    assert finding_of(verdict)[2].endswith(terminal)
    assert terminal.rpartition(": ")[2] in verdict.sentence  # of the report
    assert shown is not None and shown.sentence.startswith(page)
    assert ("10.0 points below base" in shown.sentence) == (variant == 200)
