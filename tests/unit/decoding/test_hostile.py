"""A hostile server: any reply gives one line without the key, and no answer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench.decoding import client
from bench.decoding.client import Server
from bench.decoding.server import ServerEngine, find
from fixtures.hostile import BROKEN, ENDLESS, LISTS, WRONG, everything_told
from fixtures.servers import Behaviour, ModelServer

KEY = "open-sesame"
QUICK = {**BROKEN, **WRONG}


def named(behaviours: dict[str, Behaviour]) -> list[object]:
    return [pytest.param(behaviour, id=name) for name, behaviour in behaviours.items()]


@pytest.fixture(scope="module")
def served() -> Iterator[ModelServer]:
    server = ModelServer(lambda prompt: "I think that all boxes are empty")
    yield server
    server.die()


@pytest.fixture(scope="module")
def engine(served: ModelServer, paper, prompts) -> Iterator[ServerEngine]:
    """A server engine that has found an honest server."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(client.KEY, KEY)
        patch.setattr(client, "PAUSES", (0.001, 0.001))
        patch.setattr(client, "TIMEOUT", 0.5)
        patch.setattr(client, "LIST_TIMEOUT", 0.5)
        server = Server(served.url)
        yield ServerEngine(server, "one", paper, prompts[0])
        server.close()


def test_there_are_enough_of_them():
    assert len({**QUICK, **ENDLESS}) + len(LISTS) >= 40


def check_refused(error: BaseException, url: str) -> None:
    assert len(str(error)) < 1500 and str(error).isprintable() and url in str(error)
    assert KEY not in everything_told(error)


@pytest.mark.parametrize(
    "behaviour",
    [
        *named(QUICK),
        *(pytest.param(behaviour, id=name, marks=pytest.mark.nightly) for name, behaviour in ENDLESS.items()),
    ],
)
def test_an_answer_of_a_hostile_server_is_refused(behaviour, served: ModelServer, engine, prompts):
    served.faults.extend([behaviour] * 9)
    kept = []
    with pytest.raises((ConnectionError, ValueError)) as error:
        kept.extend(engine.complete(prompts[:1]))
    served.faults.clear()
    check_refused(error.value, served.url)
    assert not kept


@pytest.mark.parametrize("behaviour", named(LISTS))
def test_a_list_of_a_hostile_server_is_refused(behaviour, served: ModelServer, engine, monkeypatch):
    monkeypatch.setattr(served, "lists", behaviour)
    with pytest.raises((ConnectionError, ValueError)) as error:
        engine.check_served()
        find(["one"], ["one"], [served.url])
    check_refused(error.value, served.url)
