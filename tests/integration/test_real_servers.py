"""Real servers give the same answers as the local engines, and killing one loses nothing."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bench.decoding import client, server
from bench.models import load_tokenizer
from bench.models.suites import load_suite
from bench.records import Evaluation, Example, Suite
from bench.run.evaluate import evaluate
from bench.run.options import Options
from bench.run.plans import Plan, limited
from bench.run.session import Session
from bench.store import Store
from bench.task.prompts import PROTOCOLS, gold_statement
from fixtures.llamacpp import LlamaServer

pytestmark = pytest.mark.server

ENTRY = load_suite("embedded").models["tiny-base"]
PAPER = PROTOCOLS["paper"]
Start = Callable[..., LlamaServer]


def session_of(store: Path | str, examples: Sequence[Example], **settings: object) -> Session:
    plan = Plan(tuple(examples), Options(wait=60, **settings), run_id="night")
    return Session(Suite("one", {ENTRY.name: ENTRY}, ()), plan, Store(store))


@pytest.fixture
def few(evaluation_examples: tuple[Example, ...]) -> tuple[Example, ...]:
    return limited(evaluation_examples, 8)


def test_llama_cpp_reads_prompts_and_answers_as_the_tokenizer_here(
    llama_tokenize: Callable[[Sequence[str]], list[list[int]]], evaluation_examples: tuple[Example, ...]
) -> None:
    """Its most similar pre-tokenizer splits other texts differently."""
    tokenizer = load_tokenizer(ENTRY)
    texts = [prompt.text for prompt in Plan(evaluation_examples).prompts(ENTRY, tokenizer)]
    texts += [gold_statement(example) for example in evaluation_examples]
    assert llama_tokenize(texts) == tokenizer(texts).input_ids


def test_a_server_that_is_killed_and_started_again_answers_all_as_the_engine_here(
    llama_server: Start, evaluation_examples: tuple[Example, ...], tmp_path: Path
) -> None:
    """Measured: 716 of 716 answers are the same. Another machine may round a tie differently."""
    served = llama_server()
    path = tmp_path / "store.sqlite"
    session = session_of(path, evaluation_examples, engine="server", server=served.url, server_concurrency=4)
    before: list[int] = []

    def restart() -> None:
        with Store(path) as store:
            while not (made := store.runs()) or made[0]["rows"] < 300:
                time.sleep(0.05)
            served.kill()
            before.append(store.runs()[0]["rows"])
        served.start()

    killer = threading.Thread(target=restart, daemon=True)
    killer.start()
    [found] = session.evaluate(ENTRY.name)
    killer.join()
    assert before[0] < 716 == len(found.completions)
    assert found.engine == "server/1 llamacpp" and found.forms["malformed"] == 0
    assert session.store.runs()[0]["rows"] == 716 and not session.store.problems()

    assert count_same(found, evaluation_examples) >= 709


def count_same(found: Evaluation, examples: Sequence[Example]) -> int:
    """The number of answers that equal those of the local engine."""
    [local] = session_of(":memory:", examples).evaluate(ENTRY.name)
    return sum(found.completions[name].text == answer.text for name, answer in local.completions.items())


@pytest.mark.skipif("BOXES_TEST_SERVER" not in os.environ, reason="set BOXES_TEST_SERVER to a server's URL")
def test_a_server_of_the_embedded_base_model_answers_as_the_engine_here(
    evaluation_examples: tuple[Example, ...],
) -> None:
    """A server that you start: vllm serve fixtures/tiny/tiny-base --served-model-name tiny-base --dtype
    float32.

    Measured with vLLM 0.32.0 on a CPU: 716 of 716 answers are the same.
    """
    url = os.environ["BOXES_TEST_SERVER"]
    [found] = session_of(":memory:", evaluation_examples, engine="server", server=url).evaluate(ENTRY.name)
    assert count_same(found, evaluation_examples) >= 709


def test_a_served_model_thinks_as_the_engine_here(llama_server: Start, few: tuple[Example, ...]) -> None:
    """The chat model's thinking ends at its first full stop, or after 62 tokens without one."""
    entry = replace(load_suite("embedded").models["tiny-chat"], think_end=".")
    here = Plan(few, Options(protocol="think", think_tokens=62))
    served = replace(here.options, engine="server", server=llama_server("tiny-chat", "tiny-chat").url)
    there = replace(here, options=served)
    found, local = (evaluate(entry, plan, Store(":memory:"), wait=0) for plan in (there, here))
    same = sum(found.completions[name].answer == answer.answer
               for name, answer in local.completions.items())  # fmt: skip
    assert same >= len(few) - 1
    assert found.forms == local.forms
    assert found.forms.keys() == {"whole", "unfinished"}


def test_a_grammar_that_kills_the_server_is_a_failure_by_name(
    llama_server: Start, few: tuple[Example, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """llama.cpp ends its process if it cannot read a grammar."""
    served = llama_server()
    settings = {"engine": "server", "server": served.url}
    with monkeypatch.context() as patch:
        patch.setattr(client, "PAUSES", (0.1, 0.1))
        broken = replace(server.DIALECTS["llamacpp"], constrain=lambda pattern: {"grammar": 'root ::= ( "x'})
        patch.setitem(server.DIALECTS, "llamacpp", broken)
        with pytest.raises((ConnectionError, ValueError), match=f"the server at {served.url}"):
            session_of(tmp_path / "store.sqlite", few, **settings).evaluate(ENTRY.name)
    assert served.process.wait(timeout=60) != 0
    served.start()
    assert session_of(tmp_path / "store.sqlite", few, **settings).evaluate(ENTRY.name)


def test_a_field_that_the_server_does_not_know_is_a_failure_and_no_score(
    llama_server: Start, few: tuple[Example, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(server.DIALECTS, "llamacpp")
    session = session_of(":memory:", few, engine="server", server=llama_server().url)
    with pytest.raises(ValueError, match="ignores a constraint .*vllm: it wrote .*sglang: it wrote"):
        session.evaluate(ENTRY.name)
    assert session.store.runs() == []


def test_a_server_with_another_model_is_a_failure_and_no_score(
    llama_server: Start, few: tuple[Example, ...]
) -> None:
    session = session_of(":memory:", few, engine="server", server=llama_server("tiny-case").url)
    with pytest.raises(ValueError, match="serves tiny-case, and no model of the suite"):
        session.evaluate(ENTRY.name)
    assert session.store.runs() == []
