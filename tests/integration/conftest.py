"""Two random models and their prompts: the whole path in a second, with wrong answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.records import Example, ModelEntry, Pair, Suite
from bench.run.options import Options
from bench.run.plans import Plan, limited
from bench.run.session import Session
from bench.store import Store
from fixtures.llamacpp import gguf_of, llama_python, llama_server, llama_tokenize, tiny_gguf  # noqa: F401
from fixtures.servers import serve  # noqa: F401

PAIR = Pair("code", "one", "two")


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests do not see the user's cache and settings."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BOXES_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def plan(evaluation_examples: tuple[Example, ...]) -> Plan:
    """Four examples, each a batch: --boxes-limit=4 --boxes-engine=reference --boxes-batch-size=1."""
    asked = limited(evaluation_examples, 4)
    return Plan(asked, Options(engine="reference", batch_size="1", wait=60), run_id="night")


@pytest.fixture(scope="session")
def models(random_checkpoints: Path) -> dict[str, ModelEntry]:
    return {name: ModelEntry(name, str(random_checkpoints / name)) for name in ("one", "two")}


@pytest.fixture(scope="session")
def session_of(plan: Plan, models: dict[str, ModelEntry]) -> Callable[..., Session]:
    """A session with both models, and with others by name, on a store, as in one process of a run."""

    def make(store: Path | str, **others: ModelEntry) -> Session:
        return Session(Suite("random", models | others, (PAIR,)), plan, Store(store))

    return make
