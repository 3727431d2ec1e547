"""Two random models and what they are asked: the whole path in a second, as wrong as it may be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bench.evaluate import Plan
from bench.prompts import PROTOCOLS
from bench.records import Example, ModelEntry, Pair, Suite
from bench.session import Session
from bench.store import Store

PAIR = Pair("code", "one", "two")


@pytest.fixture(scope="session")
def plan(evaluation_examples: tuple[Example, ...]) -> Plan:
    """Eight examples in batches of two."""
    return Plan(
        evaluation_examples[::90][:8], PROTOCOLS["paper"], engine="reference", batch_size=2, run_id="night"
    )


@pytest.fixture
def models(random_checkpoints: Path) -> dict[str, ModelEntry]:
    return {name: ModelEntry(name, str(random_checkpoints / name)) for name in ("one", "two")}


@pytest.fixture
def session_of(plan: Plan, models: dict[str, ModelEntry]) -> Callable[[Path | str], Session]:
    """A session of both models on a store, as one process of a run has it."""

    def make(store: Path | str) -> Session:
        return Session(Suite("random", models, (PAIR,)), plan, Store(store), wait=60)

    return make
