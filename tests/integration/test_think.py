"""The protocol think on the whole path: a model whose thinking never ends has no answer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench import models as loading
from bench.models.suites import load_suite
from bench.records import ModelEntry
from bench.run.evaluate import evaluate
from bench.run.options import Options
from bench.run.plans import Plan
from bench.store import Store


def test_thinking_without_end_is_wrong_and_counted(
    plan: Plan, models: dict[str, ModelEntry], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A random model never writes its tag."""
    store = Store(":memory:")
    thinks = Plan(plan.examples[:2], Options(protocol="think", think_tokens=5, engine="reference"))
    entry = replace(models["one"], think_end="</think>")
    first = evaluate(entry, thinks, store, wait=0)
    assert first.forms == {"unfinished": 2}
    assert {one.error for one in first.scores} == {"unread"}
    assert set(first.thinking.values()) <= set(range(6))
    assert first.engine.startswith("think/1 5 ")
    monkeypatch.setattr(loading, "load", lambda *args: pytest.fail("the store has the answers"))
    assert evaluate(entry, thinks, store, wait=0).scores == first.scores


def test_thinking_that_ends_leads_to_an_answer(plan: Plan) -> None:
    """tiny-chat writes its own text. Its thinking ends at the full stop, and a statement follows."""
    entry = replace(load_suite("embedded").models["tiny-chat"], think_end=".")
    thinks = Plan(plan.examples[:2], Options(protocol="think", think_tokens=90, engine="reference"))
    found = evaluate(entry, thinks, Store(":memory:"), wait=0)
    assert found.forms == {"whole": 2}
    assert all(one.error != "unread" for one in found.scores)
    assert all(0 < tokens <= 90 for tokens in found.thinking.values())


def test_a_model_without_a_tag_is_refused(plan: Plan, models: dict[str, ModelEntry]) -> None:
    thinks = Plan(plan.examples[:1], Options(protocol="think", engine="reference"))
    with pytest.raises(ValueError, match="the tag that ends its thinking is unknown"):
        evaluate(models["one"], thinks, Store(":memory:"), wait=0)
