"""State -> pytest cases: the pairs and models to test, the fixtures of a case, and its result.

A model is evaluated when a case first needs it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import pytest

from bench.plugin.guards import Contradicted
from bench.plugin.hooks import FIXTURES, state_of
from bench.records import HYPOTHESES, Pair, Verdict
from bench.run.plans import models_of
from bench.run.session import Unavailable
from bench.text import printable

if TYPE_CHECKING:
    from bench.plugin.state import State

NO_CASE = pytest.param(None, id="no-case")  # pytest makes a skipped case of an empty list
Answer = TypeVar("Answer")
# Errors of a model or the machine, not of our code.
FAULTS = (ValueError, OSError, ArithmeticError, MemoryError, RuntimeError)
SKIPPED, FAILED = "boxes_skipped", "boxes_failed"  # user properties: JSON of [model or pair, reason]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One case per bucket and pair (`verdict`, `published`) or model (the other fixtures)."""
    for name in FIXTURES:
        if name in metafunc.fixturenames:
            state = state_of(metafunc.config)
            state.offered = True
            found = of_fixture(state, name, metafunc.definition) or [NO_CASE]
            metafunc.parametrize(name, found, indirect=True)


def of_fixture(state: State, name: str, test: pytest.Item) -> list[Any]:
    """The cases of a test that uses the fixture of this name."""
    if name == "verdict":
        return of_pairs(state, test)
    if name == "published":
        return of_published(state, test)
    asked = [*models_of(state.suite.pairs), *state.singles]
    if name == "over_random":
        return of_models(state, asked)
    return of_models(state, [model for model in asked if model in state.published])


def of_pairs(state: State, test: pytest.Item) -> list[Any]:
    """Controls, or pairs of the hypotheses in the test's markers. Without a marker: pairs of all others."""
    marks = {mark.name for mark in test.iter_markers()}
    others = [name for name in state.hypotheses if name not in HYPOTHESES]
    named = [name for name in HYPOTHESES if f"{name}_hypothesis" in marks] or others
    more = [getattr(pytest.mark, f"{name}_hypothesis") for name in others] if "control" in marks else []
    return [
        pytest.param(
            (pair, bucket), id=case_id, marks=more or [getattr(pytest.mark, f"{pair.hypothesis}_hypothesis")]
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
    """Models on every bucket, with the markers of their hypotheses, if they have any."""
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
    """The markers of a pair. A control has the markers of all hypotheses."""
    if pair.control:
        return ["control", *(f"{name}_hypothesis" for name in hypotheses)]
    return [f"{pair.hypothesis}_hypothesis"]


def recorded_where(state: State) -> str:
    """How to introduce recorded figures. They are of the evaluation set; this run may have another sample."""
    return "as recorded" if state.options.asks_evaluation_set else "recorded on the evaluation set"


def expect_failure(request: pytest.FixtureRequest, state: State, figures: str) -> None:
    """Mark the case as xfail, because the recorded figures fail it too. XPASS then shows a change.

    It is marked when it runs. At collection, the recorded figures of all cases would be judged.
    """
    reason = f"{recorded_where(state)}: {figures}"
    request.applymarker(pytest.mark.xfail(raises=Contradicted, reason=reason))


def require_supported(verdict: Verdict) -> None:
    """Pass or fail by the verdict. An open case is an xfail with the figures."""
    __tracebackhide__ = True
    if verdict.case == "fails":
        raise Contradicted(verdict.sentence)
    if verdict.case == "open":
        pytest.xfail(verdict.sentence)


def require_published_support(verdict: Verdict) -> None:
    """Pass if published figures support the hypothesis, else xfail, because they cannot change."""
    if verdict.case != "passes":
        pytest.xfail(verdict.sentence)


def require_agreement(meets: bool, sentence: str) -> None:
    """Fail if a model's accuracy differs significantly from its published figure."""
    __tracebackhide__ = True
    if not meets:
        raise Contradicted(f"differs from the published figure: {sentence}.")


def require_above_random(above: bool | None, sentence: str) -> None:
    """Pass if a model is above random guessing, fail if it is below, else xfail."""
    __tracebackhide__ = True
    if above is False:
        raise Contradicted(sentence)
    if not above:
        pytest.xfail(sentence)


@pytest.fixture(scope="session")
def boxes(pytestconfig: pytest.Config) -> State:
    """The suite under the options of this run, with its results so far."""
    return state_of(pytestconfig)


@pytest.fixture
def verdict(request: pytest.FixtureRequest, boxes: State) -> Verdict:
    """The verdict on (pair, bucket)."""
    pair, bucket = request.param
    recorded = boxes.recorded.get((pair, bucket))
    if recorded is not None and recorded.case == "fails":
        expect_failure(request, boxes, recorded.sentence)
    family = boxes.family(pair)
    found = ask(request, pair.id, lambda: boxes.session.verdict(pair, bucket, family))
    request.node.user_properties += figures_of(found)
    return found


@pytest.fixture
def published(request: pytest.FixtureRequest, boxes: State) -> Verdict:
    """The verdict on (pair, bucket) by the published figures."""
    return boxes.recorded[request.param]


@pytest.fixture
def over_random(request: pytest.FixtureRequest, boxes: State) -> tuple[bool | None, str]:
    """Whether (model, bucket) is above random guessing (None: not shown), and a sentence."""
    name, bucket = request.param
    accuracy, random = boxes.recorded_accuracy(name, bucket) or (None, 0.0)
    if accuracy is not None and accuracy.value < random:
        expect_failure(request, boxes, f"{accuracy.value:.1%}, random guessing {random:.1%}")
    return ask(request, name, lambda: boxes.session.over_random(name, bucket))


@pytest.fixture
def agreement(request: pytest.FixtureRequest, boxes: State) -> tuple[bool, str]:
    """Whether (model, bucket) agrees with its published figure, and a sentence with both figures."""
    name, bucket = request.param
    published = boxes.published[name][bucket]
    return ask(request, name, lambda: boxes.session.agreement(name, bucket, published))


def first_case(request: pytest.FixtureRequest, error: Exception) -> pytest.Item:
    """The first case of a failing model. Only this case fails. The model's other cases are skipped."""
    failed = request.getfixturevalue("boxes").session.failed
    broken = {name for name, kept in failed.items() if kept is error}
    return next((item for item in request.session.items if broken & models_in(item)), request.node)


def models_in(item: pytest.Item) -> set[str]:
    """The models of a case."""
    params = item.callspec.params if hasattr(item, "callspec") else {}
    if "verdict" in params:
        pair, _ = params["verdict"]
        return {pair.base, pair.variant}
    return {params[fixture][0] for fixture in ("over_random", "agreement") if fixture in params}


def ask(request: pytest.FixtureRequest, name: str, question: Callable[[], Answer | None]) -> Answer:
    """The answer to a question. Skips if this machine cannot run a model. A failing model is one failure."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    live = request.config.pluginmanager.getplugin("boxes-live")
    stop: Callable[[str], NoReturn]
    try:
        with capture.global_and_fixture_disabled(), live.visible() if live else nullcontext():
            found = question()
    except Unavailable as error:
        name, reason = error.args
        kind, said = SKIPPED, f"{name}: {reason}"
        stop = pytest.fail if request.config.getoption("boxes_require") else pytest.skip
    except FAULTS as error:
        kind, reason = FAILED, str(error)
        said = f"{name} could not be evaluated: {reason}"
        first = first_case(request, error)
        stop = partial(pytest.fail, pytrace=False) if first is request.node else pytest.skip
    else:
        if found is None:
            pytest.skip("these examples have no query of this bucket")
        return found
    # Outside the except clause, where pytest would also print the handled exception.
    request.node.user_properties.append((kind, json.dumps([name, reason])))
    stop(printable(said))


def figures_of(verdict: Verdict) -> list[tuple[str, str]]:
    """A case's figures by name, for JUnit XML."""
    found = verdict.comparison
    shares = {
        "base_accuracy": found.base.value,
        "variant_accuracy": found.variant.value,
        "random_baseline": found.baseline,
        "difference": found.difference.value,
        "difference_low": found.difference.low,
        "difference_high": found.difference.high,
        "p_adjusted": found.p_adjusted,
    }
    return [
        ("outcome", verdict.outcome),
        ("n", str(found.base.n)),
        *((name, f"{share:.6f}") for name, share in shares.items()),
    ]
