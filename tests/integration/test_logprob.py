"""The metric logprob on the whole path: scored, stored, read again without the model, compared."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench import models as loading
from bench.records import Completion, ModelEntry
from bench.run.evaluate import evaluate, scored
from bench.run.options import Options
from bench.run.plans import Plan
from bench.scoring.baselines import chance
from bench.store import Settings, Store
from bench.task.prompts import gold_statement


@pytest.fixture
def choosing(plan: Plan) -> Plan:
    return replace(plan, options=replace(plan.options, metric="logprob"), examples=plan.examples[:2])


def test_choices_are_kept_and_read_again_without_the_model(
    choosing: Plan, models: dict[str, ModelEntry], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(":memory:")
    first = evaluate(models["one"], choosing, store, wait=0)
    monkeypatch.setattr(loading, "load", lambda *args: pytest.fail("the store has the answers"))
    again = evaluate(models["one"], choosing, store, wait=0)
    assert (again.scores, again.margins) == (first.scores, first.margins)
    assert first.engine == "logprob/1"
    assert first.forms == {"whole": 2}
    assert first.margins.keys() == choosing.baseline.keys() == chance(choosing.examples).keys()
    assert all(one.error != "unread" for one in first.scores)


def test_a_choice_and_a_generated_answer_are_kept_apart(choosing: Plan) -> None:
    generating = replace(choosing, options=Options())
    assert not set(choosing.engines) & set(generating.engines)
    settings = Settings({}, choosing.constraint, "reference/1")
    said = {example.id: Completion(gold_statement(example), "stop", 1) for example in choosing.examples}
    generated = scored("one", generating, settings, said)
    assert all(one.correct for one in generated.scores)
    assert generated.margins == {}
