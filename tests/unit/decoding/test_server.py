"""A server's answers are the model's own under the constraint, or the model fails by name."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bench.decoding import ENGINES, client
from bench.decoding.client import Server
from bench.decoding.server import DIALECTS, ServerEngine, find
from bench.task.prompts import gold_statement
from fixtures.hostile import everything_told
from fixtures.servers import ModelServer, stream

Serve = Callable[..., ModelServer]


@pytest.fixture
def golds(states, prompts) -> dict[str, str]:
    """Prompt text -> the right answer."""
    by_id = {state.id: gold_statement(state) for state in states}
    return {prompt.text: by_id[prompt.example_id] for prompt in prompts}


@pytest.fixture
def engine_of(strict, prompts) -> Iterator[Callable[..., ServerEngine]]:
    servers: list[Server] = []

    def make(of: ModelServer, **settings: Any) -> ServerEngine:
        servers.append(Server(of.url))
        return ServerEngine(servers[-1], "one", settings.pop("constraint", strict), prompts[0], **settings)

    yield make
    for server in servers:
        server.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries end quickly."""
    monkeypatch.setattr(client, "PAUSES", (0.01, 0.02, 0.05))


def chatter(prompt: str) -> str:
    """The model's text without a constraint."""
    return "I think that the car is in Box 3"


def test_the_engine_s_names_are_those_of_its_dialects():
    assert ENGINES["server"] == tuple(f"server/1 {dialect}" for dialect in DIALECTS)


@pytest.mark.parametrize("owner", ["somebody", "me", "vllm"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_is_found_out_and_answers_are_the_model_s(
    dialect: str, owner: str, serve: Serve, golds, prompts, engine_of, complete
):
    """The owner of the model in the list has no effect."""
    served = serve(golds.__getitem__, dialect, owner=owner)
    engine = engine_of(served)
    assert engine.name == f"server/1 {dialect}"
    done = complete(engine, prompts)
    assert [done[prompt.example_id].text for prompt in prompts] == [golds[prompt.text] for prompt in prompts]
    assert {answer.finish_reason for answer in done.values()} == {"stop"}
    assert {(body["temperature"], body["max_tokens"]) for body in served.asked[-len(prompts) :]} == {(0, 256)}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_owner_s_dialect_is_tried_first(dialect: str, serve: Serve, golds, engine_of):
    served = serve(golds.__getitem__, dialect)
    engine_of(served)
    assert len(served.asked) == 1


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_model_that_would_say_something_else_is_held_to_the_constraint(
    dialect, serve: Serve, prompts, engine_of, complete, strict
):
    done = complete(engine_of(serve(chatter, dialect)), prompts)
    assert len(done) == len(prompts) and all(strict.matches(answer.text) for answer in done.values())


def test_an_answer_at_the_limit_is_cut_and_stays(serve: Serve, golds, prompts, engine_of, complete, paper):
    short = type(paper)(paper.regex, 9)
    done = complete(engine_of(serve(golds.__getitem__), constraint=short), prompts)
    assert {answer.finish_reason for answer in done.values()} == {"length"}
    assert all(golds[prompt.text].startswith(done[prompt.example_id].text) for prompt in prompts)


def test_answers_come_in_batches_of_those_in_flight_in_the_order_of_scenarios(
    serve: Serve, golds, prompts, engine_of
):
    served = serve(golds.__getitem__)
    engine = engine_of(served, in_flight=3)
    served.slow = 0.05
    served.most = 0
    batches = list(engine.complete(prompts[::-1]))
    assert all(len(batch) >= 3 for batch in batches[:-1]) and sum(map(len, batches)) == len(prompts)
    assert served.most == 3
    assert sorted(body["prompt"] for body in served.asked[1:4]) == sorted(p.text for p in prompts[:3])


@pytest.mark.parametrize("fault", [429, 500, 503, "drop", "cut"])
def test_what_passes_is_asked_again(fault, serve: Serve, golds, prompts, engine_of, complete, impatient):
    served = serve(golds.__getitem__)
    engine = engine_of(served, in_flight=2)
    served.faults.extend([fault, fault])
    done = complete(engine, prompts)
    assert [done[prompt.example_id].text for prompt in prompts] == [golds[prompt.text] for prompt in prompts]
    assert len(served.asked) == 1 + len(prompts) + 2


@pytest.mark.parametrize(
    ("fault", "error", "says"),
    [
        pytest.param(429, ConnectionError, "answered 429: .*said 429", id="too many requests"),
        pytest.param(500, ConnectionError, "answered ...: .*said 500", id="an error of its own"),
        pytest.param(400, ValueError, "answered ...: .*said 400", id="a request that it refuses"),
        pytest.param(401, ConnectionError, "Put its key into .BOXES_SERVER_KEY", id="no key"),
        pytest.param("drop", ConnectionError, "cannot be reached", id="no answer"),
        pytest.param("page", ConnectionError, "does not speak OpenAI's protocol", id="a page"),
    ],
)
def test_what_lasts_fails_by_name_after_what_was_in_flight(
    fault, error, says: str, serve: Serve, golds, prompts, engine_of, impatient
):
    served = serve(golds.__getitem__)
    engine = engine_of(served, in_flight=2)
    kept = []
    with pytest.raises(error, match=f"the server at http://127.0.0.1:.*{says}"):
        for batch in engine.complete(prompts):
            kept += batch
            served.faults.extend([fault] * 20)
    assert 2 <= len(kept) <= 4


def test_a_server_that_is_slow_to_answer_is_not_waited_for_for_ever(
    serve: Serve, golds, prompts, engine_of, monkeypatch
):
    monkeypatch.setattr(client, "TIMEOUT", 0.2)
    served = serve(golds.__getitem__)
    engine = engine_of(served)
    served.slow = 30
    with pytest.raises(ConnectionError, match="timed out"):
        list(engine.complete(prompts[:1]))


def test_a_server_that_dies_and_comes_back_loses_nothing(
    serve: Serve, golds, prompts, engine_of, complete, monkeypatch
):
    monkeypatch.setattr(client, "PAUSES", (0.1,) * 50)
    served = serve(golds.__getitem__)
    engine = engine_of(served, in_flight=2)
    served.dies_after = 4

    def revive() -> None:
        served.gone.wait()
        revived.append(serve(golds.__getitem__, port=served.server_port))

    revived: list[ModelServer] = []
    thread = threading.Thread(target=revive)
    thread.start()
    done = complete(engine, prompts)
    thread.join()
    assert [done[prompt.example_id].text for prompt in prompts] == [golds[prompt.text] for prompt in prompts]
    assert revived[0].asked


def test_another_model_in_a_dead_server_s_place_answers_nothing(serve: Serve, golds, prompts, engine_of):
    served = serve(golds.__getitem__)
    engine = engine_of(served, in_flight=2)
    batches = engine.complete(prompts)
    assert len(next(batches)) >= 2  # a batch: the answers that arrived when in_flight were complete
    served.die()
    usurper = serve(golds.__getitem__, model="two", port=served.server_port)
    usurper.answers_as = "one"
    with pytest.raises(ValueError, match="now serves two, not one"):
        next(batches)
    assert usurper.asked


def test_a_deaf_server_is_a_failure_and_no_score(serve: Serve, engine_of):
    with pytest.raises(ValueError, match="ignores a constraint .*vllm: it wrote 'I think that") as error:
        engine_of(serve(chatter, "deaf"))
    assert all(dialect in str(error.value) for dialect in DIALECTS)


@pytest.mark.parametrize("limit", [256, 3])
def test_a_server_that_turns_deaf_is_found_out_by_its_answers(
    limit, serve: Serve, golds, prompts, engine_of, strict
):
    """Answers may be complete or cut."""
    served = serve(chatter)
    engine = engine_of(served, constraint=type(strict)(strict.regex, limit))
    served.dialect = "deaf"
    with pytest.raises(ValueError, match="ignores the constraint: it wrote 'I think that"):
        list(engine.complete(prompts))


def test_a_model_that_answers_for_another_is_refused(serve: Serve, golds, engine_of):
    served = serve(golds.__getitem__)
    served.answers_as = "two"
    with pytest.raises(ValueError, match="was asked for one, but two answered"):
        engine_of(served)


@pytest.mark.parametrize(("more", "fails"), [(0, False), (1, True), (-1, True)])
def test_the_server_s_tokens_are_those_of_the_tokenizer_here(
    more: int, fails: bool, serve: Serve, golds, prompts, engine_of, tokenizer, complete
):
    """One extra BOS is one extra token."""
    served = serve(golds.__getitem__)

    def count(text: str) -> int:
        return len(tokenizer(text).input_ids)

    served.count_tokens = lambda text: count(text) + more
    if fails:
        with pytest.raises(ValueError, match="a BOS is missing or doubled"):
            engine_of(served, count_tokens=count)
    else:
        done = complete(engine_of(served, count_tokens=count), prompts)
        assert [done[p.example_id].prompt_tokens for p in prompts] == [count(p.text) for p in prompts]


def changed(**fields: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Answers with other fields, at any place."""

    def edit(answer: dict[str, Any]) -> dict[str, Any]:
        for part in (answer, answer["choices"][0], answer["usage"]):
            part.update({name: value for name, value in fields.items() if name in part})
        return answer

    return edit


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        pytest.param({"finish_reason": "length"}, "cut an answer of", id="cut by another limit"),
        pytest.param({"finish_reason": "length", "text": ""}, "cut an answer of 0 char", id="cut to nothing"),
        pytest.param({"text": "", "completion_tokens": 0}, "ignores the constraint", id="nothing"),
        pytest.param(
            {"prompt_tokens": -5}, "prompt_tokens: expected a whole number of at least 1", id="negative"
        ),
        pytest.param(
            {"prompt_tokens": 0}, "prompt_tokens: expected a whole number of at least 1", id="nothing read"
        ),
        pytest.param({"prompt_tokens": 1}, "counted 1 tokens in a prompt of", id="too few read"),
        pytest.param(
            {"prompt_tokens": 10**9}, "counted 1000000000 tokens in a prompt of", id="too many read"
        ),
        pytest.param({"prompt_tokens": 10**40}, "counted 1", id="no 64 bits"),
        pytest.param({"prompt_tokens": True}, "prompt_tokens: .*but got true or false", id="true"),
        pytest.param({"prompt_tokens": 300.0}, "whole number, but got a number", id="a float"),
        pytest.param({"prompt_tokens": None}, "prompt_tokens: .*but got nothing", id="null"),
        pytest.param({"completion_tokens": None}, "completion_tokens: .*but got nothing", id="null written"),
        pytest.param(
            {"completion_tokens": -1},
            "completion_tokens: expected a whole number of at least 0",
            id="negative written",
        ),
        pytest.param({"completion_tokens": 257}, "counted 257 tokens in an answer", id="too many written"),
        pytest.param({"completion_tokens": 1}, "counted 1 tokens in an answer", id="too few written"),
        pytest.param({"text": "x" * 10**6}, "in an answer of 1000000 characters", id="too long"),
        pytest.param({"text": None}, "text: expected a string, but got nothing", id="no text"),
        pytest.param({"finish_reason": None}, "finish_reason: .*but got nothing", id="no reason"),
        pytest.param({"finish_reason": "abort"}, "'abort' is not one of stop, length", id="broken off"),
        pytest.param({"usage": {}}, "prompt_tokens is missing", id="not counted"),
        pytest.param({"usage": None}, "usage: .*but got nothing", id="no usage"),
        pytest.param({"choices": []}, "choices: expected a list", id="no answer"),
        pytest.param({"choices": [{}, {}]}, "choices 1: text is missing", id="two answers"),
        pytest.param({"model": "two"}, "was asked for one, but two answered", id="another model"),
    ],
)
def test_an_answer_that_cannot_be_right_is_refused(
    fields: dict[str, Any], says: str, serve: Serve, golds, prompts, engine_of
):
    """A yielded answer would be stored."""
    served = serve(golds.__getitem__)
    engine = engine_of(served)
    served.edit = changed(**fields)
    with pytest.raises((ConnectionError, ValueError), match=f"the server at {served.url} .*{says}") as error:
        list(engine.complete(prompts[:1]))
    assert len(str(error.value)) < 600


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    ("parts", "every", "says"),
    [
        pytest.param((HEAD + b"\r\n", b"x" * 10_000), 0, "longer than 100,000 bytes", id="endless body"),
        pytest.param((HEAD + b"\r\n", b" "), 0.05, "timed out", id="a byte now and then"),
        pytest.param((b"H", b""), 0.05, "timed out", id="a head without an end"),
        pytest.param((HEAD, b"X-More: more\r\n"), 0, "cannot be reached|timed out", id="endless headers"),
        pytest.param((b"HTTP/1.1 100 Continue\r\n\r\n",), 0, "timed out", id="continue, continue"),
    ],
)
def test_a_reply_without_an_end_is_bounded_in_time_and_size(
    parts, every, says, serve: Serve, engine_of, golds, prompts, monkeypatch, impatient
):
    monkeypatch.setattr(client, "TIMEOUT", 0.5)
    monkeypatch.setattr(client, "MAX_BYTES", 100_000)
    served = serve(golds.__getitem__)
    engine = engine_of(served)
    served.faults.extend([stream(*parts, every=every)] * 5)
    with pytest.raises(ConnectionError, match=says):
        list(engine.complete(prompts[:1]))


KEY = "open-sesame"


def escaped(key: str) -> str:
    """Also in the forms in which JSON may write it."""
    return "".join(f"\\u{ord(letter):04X}" for letter in key)


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(changed(text=f"Statement: {KEY}"), id="the text"),
        pytest.param(changed(model=KEY), id="the model"),
        pytest.param(changed(finish_reason=KEY), id="the reason"),
        pytest.param(changed(usage=KEY), id="a field of another type"),
        pytest.param(lambda answer: KEY, id="the whole"),
    ],
)
def test_an_answer_with_the_key_is_refused_without_it(
    edit, serve: Serve, golds, prompts, engine_of, monkeypatch
):
    monkeypatch.setenv(client.KEY, KEY)
    served = serve(golds.__getitem__)
    engine = engine_of(served)
    served.edit = edit
    with pytest.raises((ConnectionError, ValueError)) as error:
        list(engine.complete(prompts[:1]))
    assert KEY not in everything_told(error.value)


@pytest.mark.parametrize("said", [KEY, f"Bearer {KEY}\n", escaped(KEY), KEY * 200, "x" * 295 + KEY])
@pytest.mark.parametrize("status", [400, 401, 500])
def test_an_error_with_the_key_is_told_without_it(
    said: str, status: int, serve: Serve, golds, prompts, engine_of, monkeypatch, impatient, caplog
):
    caplog.set_level("DEBUG")
    monkeypatch.setenv(client.KEY, KEY)
    served = serve(golds.__getitem__)
    engine = engine_of(served)
    assert served.asked[0]["key"] == f"Bearer {KEY}"
    served.faults.extend([lambda handler, answer: handler.send(status, said.encode())] * 5)
    with pytest.raises((ConnectionError, ValueError), match=rf"answered {status}: .*\*\*\*") as error:
        list(engine.complete(prompts[:1]))
    assert KEY not in everything_told(error.value) and escaped(KEY) not in str(error.value)
    assert KEY not in caplog.text + engine.name + engine.reason


def test_ids_of_models_are_shown_without_the_key_and_in_part(serve: Serve, monkeypatch):
    monkeypatch.setenv(client.KEY, KEY)
    other = serve(chatter, model=KEY)
    with pytest.raises(ValueError, match=r"serves \*\*\*, and no model of the suite"):
        find(["two"], ["one", "two"], [other.url])


@pytest.mark.parametrize("key", ["short", "with a space", "ümlaut-in-it", "two\nlines-of-it"])
def test_a_key_that_http_cannot_carry_is_told_without_it(key: str, serve: Serve, monkeypatch):
    monkeypatch.setenv(client.KEY, key)
    with pytest.raises(ValueError, match="BOXES_SERVER_KEY must be 8 or more visible") as error:
        Server("http://127.0.0.1:1/v1")
    assert key not in str(error.value)


def test_a_model_is_found_on_the_server_that_has_it(serve: Serve):
    one, two = serve(chatter, model="one"), serve(chatter, model="org/two")
    known = ["one", "two", "org/two", "three"]
    assert find(["one"], known, [one.url, two.url]) == (one.url, "one")
    assert find(["org/two", "two"], known, [one.url, two.url]) == (two.url, "org/two")
    assert find(["three"], known, [one.url, two.url]) is None


def test_a_server_with_no_model_of_the_suite_is_a_mistake(serve: Serve):
    one, other = serve(chatter, model="one"), serve(chatter, model="tow")
    with pytest.raises(ValueError, match=f"{other.url} serves tow, and no model of the suite. Serve"):
        find(["two"], ["one", "two"], [one.url, other.url])


def test_a_server_that_is_down_is_named_where_it_may_have_the_model(serve: Serve, impatient):
    one, down = serve(chatter, model="one"), serve(chatter, model="two")
    down.die()
    assert find(["one"], ["one", "two"], [down.url, one.url]) == (one.url, "one")
    with pytest.raises(ConnectionError, match=f"{down.url} cannot be reached .*refused"):
        find(["two"], ["one", "two"], [one.url, down.url])


def test_a_url_of_something_else_is_named(serve: Serve):
    one = serve(chatter)
    with pytest.raises(ConnectionError, match="no such page.*usually ends in /v1"):
        find(["one"], ["one"], [one.url.removesuffix("/v1")])
