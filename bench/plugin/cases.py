"""State -> pytest cases: which pairs and models are asked, and when a case passes, fails or is open."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from bench.records import HYPOTHESES, Pair, Verdict
from bench.run.plans import models_of

if TYPE_CHECKING:
    from bench.plugin.state import State

NO_CASE = pytest.param(None, id="no-case")  # pytest makes a skipped case of an empty list


class Contradicted(AssertionError):
    """A case's hypothesis does not hold; the text is the finding, in one sentence with its figures."""


def of_fixture(state: State, name: str, test: pytest.Item) -> list[Any]:
    """The cases of a test that asks for a fixture of this name."""
    if name == "verdict":
        return of_pairs(state, test)
    if name == "published":
        return of_published(state, test)
    asked = [*models_of(state.suite.pairs), *state.singles]
    if name == "over_random":
        return of_models(state, asked)
    return of_models(state, [model for model in asked if model in state.published])


def of_pairs(state: State, test: pytest.Item) -> list[Any]:
    """Controls, or pairs of the hypotheses that the test is marked with; without a mark, of all others."""
    marks = {mark.name for mark in test.iter_markers()}
    others = [name for name in state.hypotheses if name not in HYPOTHESES]
    named = [name for name in HYPOTHESES if f"{name}_hypothesis" in marks] or others
    more = [getattr(pytest.mark, f"{name}_hypothesis") for name in others] if "control" in marks else []
    return [
        pytest.param(
            (pair, bucket),
            id=case_id,
            marks=more or [getattr(pytest.mark, f"{pair.hypothesis}_hypothesis")],
        )
        for case_id, (pair, bucket) in state.cases.items()
        if ("control" in marks) == bool(pair.control) and (pair.control or pair.hypothesis in named)
    ]


def of_published(state: State, test: pytest.Item) -> list[Any]:
    marks = {mark.name for mark in test.iter_markers()}
    return [
        pytest.param((pair, bucket), id=f"published-{case_id}")
        for case_id, (pair, bucket) in state.cases.items()
        if f"{pair.hypothesis}_hypothesis" in marks and state.is_published(pair, bucket)
    ]


def of_models(state: State, names: Sequence[str]) -> list[Any]:
    """Models on every bucket, under the markers of the hypotheses that they take part in, if of any."""
    marks: dict[str, set[str]] = {name: set() for name in names}
    for pair in state.suite.pairs:
        for name in (pair.base, pair.variant):
            marks.setdefault(name, set()).update(markers_of(pair, state.hypotheses))
    return [
        pytest.param(
            (name, bucket),
            id=f"{name}-{bucket}",
            marks=[getattr(pytest.mark, mark) for mark in sorted(marks[name])],
        )
        for name in names
        for bucket in state.buckets
    ]


def markers_of(pair: Pair, hypotheses: Iterable[str]) -> list[str]:
    """A control is there for every hypothesis."""
    return (
        ["control", *(f"{name}_hypothesis" for name in hypotheses)]
        if pair.control
        else [f"{pair.hypothesis}_hypothesis"]
    )


def recorded_where(state: State) -> str:
    """Recorded figures are of the evaluation set: other samples' figures are not "as recorded"."""
    return "as recorded" if state.options.asks_evaluation_set else "recorded on the evaluation set"


def xfail_as_recorded(state: State, pair: Pair, bucket: str) -> pytest.MarkDecorator | None:
    """xfail where the recorded figures fail the case too: XPASS is then a departure."""
    verdict = state.recorded.get((pair, bucket))
    if verdict is None or verdict.case != "fails":
        return None
    return pytest.mark.xfail(raises=Contradicted, reason=f"{recorded_where(state)}: {verdict.sentence}")


def xfail_as_below(state: State, name: str, bucket: str) -> pytest.MarkDecorator | None:
    """xfail where the recorded accuracy of a model is below random guessing."""
    observed = state.recorded_accuracy(name, bucket)
    if observed is None or observed[0].value >= observed[1]:
        return None
    reason = f"{recorded_where(state)}: {observed[0].value:.1%} against {observed[1]:.1%} by random guessing"
    return pytest.mark.xfail(raises=Contradicted, reason=reason)


def require_supported(verdict: Verdict) -> None:
    """Pass or fail as the verdict says; xfail with the figures where the case is open."""
    __tracebackhide__ = True
    if verdict.case == "fails":
        raise Contradicted(verdict.sentence)
    if verdict.case == "open":
        pytest.xfail(verdict.sentence)


def require_published_support(verdict: Verdict) -> None:
    """Pass if published figures support the hypothesis; they are history, and xfail otherwise."""
    if verdict.case != "passes":
        pytest.xfail(verdict.sentence)


def require_agreement(meets: bool, sentence: str) -> None:
    """Fail where a model's accuracy and its published figure are shown to differ."""
    __tracebackhide__ = True
    if not meets:
        raise Contradicted(f"departs from the published figure: {sentence}.")


def require_above_random(above: bool | None, sentence: str) -> None:
    """Pass if a model is shown to be above random guessing; fail where it is below; xfail otherwise."""
    __tracebackhide__ = True
    if above is False:
        raise Contradicted(sentence)
    if not above:
        pytest.xfail(sentence)
