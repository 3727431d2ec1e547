"""Protocol think goes the whole path: a model whose thinking never ends has no answer, and that is kept."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench import models as loading
from bench.records import ModelEntry
from bench.run.evaluate import Plan, evaluate
from bench.store import Store
from bench.task.prompts import PROTOCOLS


def test_thinking_without_end_is_wrong_and_counted(
    plan: Plan, models: dict[str, ModelEntry], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A random model never writes its tag."""
    store = Store(":memory:")
    thinks = replace(plan, protocol=PROTOCOLS["think"], think_tokens=5, examples=plan.examples[:2])
    entry = replace(models["one"], think_end="</think>")
    first = evaluate(entry, thinks, store, wait=0)
    assert first.forms == {"unfinished": 2}
    assert {one.error for one in first.scores} == {"unread"}
    assert set(first.thinking.values()) <= set(range(6))
    assert first.engine.startswith("think/1 5 ")
    monkeypatch.setattr(loading, "load", lambda *args: pytest.fail("the store has the answers"))
    assert evaluate(entry, thinks, store, wait=0).scores == first.scores


def test_a_model_without_a_tag_is_refused(plan: Plan, models: dict[str, ModelEntry]) -> None:
    thinks = replace(plan, protocol=PROTOCOLS["think"], examples=plan.examples[:1])
    with pytest.raises(ValueError, match="no tag is known that ends its thinking"):
        evaluate(models["one"], thinks, Store(":memory:"), wait=0)
