"""Prompt -> Completion by a model server: vLLM, SGLang, llama.cpp, or another one with /v1/completions.

A server ignores unknown fields and still answers, so every reply is checked. A canary prompt finds out how
the server takes a constraint. Each answer is checked against the constraint, the requested model and the
numbers of tokens.
"""

from __future__ import annotations

import json
import re
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import regex

from bench.decoding.client import Refused, Server
from bench.decoding.thinking import Thought, thought_of
from bench.inputs import InputError
from bench.records import Completion, Counters, Prompt
from bench.task.prompts import Constraint
from bench.text import printable


@dataclass(frozen=True, slots=True)
class Dialect:
    """The fields of a request in which kinds of servers differ.

    plain: for greedy decoding. Without them vLLM and SGLang would use penalties from the checkpoint's
    generation_config.json. constrain: regex -> fields for a constraint. stop: tag -> fields that tell the
    server to end at the tag and to show it. Without the tag, an ended thought looks like one that was cut.
    """

    plain: Mapping[str, Any]
    constrain: Callable[[str], dict[str, Any]]
    stop: Callable[[str], dict[str, Any]]


DIALECTS = {
    "vllm": Dialect(
        {"repetition_penalty": 1.0},
        lambda pattern: {"structured_outputs": {"regex": pattern}},
        lambda tag: {"stop": [tag], "include_stop_str_in_output": True, "skip_special_tokens": False},
    ),
    "sglang": Dialect(
        {"repetition_penalty": 1.0},
        lambda pattern: {"regex": pattern},
        lambda tag: {"stop": [tag], "no_stop_trim": True, "skip_special_tokens": False},
    ),
    "llamacpp": Dialect(
        {"repeat_penalty": 1.0},
        lambda pattern: {"grammar": gbnf(pattern)},
        lambda tag: {},  # it shows no stop string. It continues after the tag, and the rest is dropped
    ),
}
OWNERS = {"me": "llamacpp"}  # owned_by in /v1/models, if it is not the dialect's name (llama-cpp-python)
CANARY = Constraint("(xq|zq){3}", 24)  # no model writes this without the constraint
PARTS = re.compile(  # of a regex that a grammar can express
    r"(?P<operator>\((?!\?)|[)|*+?]|\{\d+(,\d*)?\})"  # the same in a grammar
    r"|(?P<characters>\[(?:[^\\\[\]]|\\[\\\[\]^-])+\])"  # a character class, the same in a grammar
    r"|\\(?P<escaped>[^A-Za-z0-9])"
    r"|(?P<plain>[^\\.^$(){}\[\]])"
)
SHOWN, NAME = 5, 100  # number of model names in a message, and characters of each
Read = TypeVar("Read")


def find(names: Sequence[str], known: Collection[str], urls: Sequence[str]) -> tuple[str, str] | None:
    """The URL of a server that has a model, and the model's id there; None if no server has it.

    names: possible ids of the model. known: possible ids of all models of the suite. Raises InputError for a
    server that has none of them, and ConnectionError for a server that does not list its models.
    """
    unreachable: list[ConnectionError] = []
    strangers: list[str] = []
    for url in urls:
        try:
            with closing(Server(url)) as server:
                served = server.models()
        except ConnectionError as error:
            unreachable.append(error)
            continue
        if found := [name for name in names if name in served]:
            return url, found[0]
        if not served.keys() & set(known):
            strangers.append(f"{server.name} serves {listed(served)}")
    if unreachable:
        raise unreachable[0]
    if strangers:
        raise InputError(
            f"{'; '.join(strangers)}, and no model of the suite. Serve this one as {' or '.join(names)} "
            "(--served-model-name of vLLM and SGLang, --alias or --model_alias of llama.cpp)."
        )
    return None


def listed(names: Collection[str]) -> str:
    """The first names, and the number of others."""
    shown = ", ".join(printable(name)[:NAME] for name in list(names)[:SHOWN]) or "nothing"
    return shown if len(names) <= SHOWN else f"{shown} and {len(names) - SHOWN} more"


class ServerEngine:
    """One model of one server, asked for several answers at a time.

    canary: any prompt of the run. count_tokens: counts the tokens of a prompt; None without a local
    tokenizer. Raises InputError if the server does not obey a constraint.
    """

    def __init__(
        self,
        server: Server,
        model: str,
        constraint: Constraint,
        canary: Prompt,
        *,
        count_tokens: Callable[[str], int] | None = None,
        in_flight: int = 16,
    ) -> None:
        self.server = server
        self.model = model
        self.constraint = constraint
        self.count_tokens = count_tokens
        self.in_flight = in_flight
        self.counters = Counters()
        name = self.find_dialect(canary)
        self.dialect = DIALECTS[name]
        self.name = f"server/1 {name}"
        self.reason = f"asked for: {model} at {server.url}"

    def find_dialect(self, canary: Prompt) -> str:
        """The name of the server's dialect. The one suggested by /v1/models is tried first."""
        owner = self.server.models().get(self.model, "")
        likely = OWNERS.get(owner, owner)
        said = []
        limit = CANARY.max_new_tokens
        for name, dialect in sorted(DIALECTS.items(), key=lambda known: known[0] != likely):
            fields = {**dialect.plain, **dialect.constrain(CANARY.regex)}
            asked = self.server.ask(self.model, canary.text, limit, fields)
            try:
                answer = self.server.read(asked, self.model, canary.text, limit)
            except Refused as error:
                said.append(f"{name}: {error}")
                continue
            if CANARY.matches(answer.text):
                self.check_count(canary, answer.prompt_tokens)
                return name
            said.append(f"{name}: it wrote {self.server.quote(repr(answer.text))}")
        raise InputError(
            f"{self.server.name} ignores a constraint ({'; '.join(said)}). "
            "Use a version of vLLM, SGLang or llama.cpp that takes structured_outputs, regex or grammar."
        )

    def complete(self, prompts: Sequence[Prompt]) -> Iterator[list[tuple[Prompt, Completion]]]:
        """Complete prompts under the constraint. Raises InputError if an answer breaks it."""
        limit = self.constraint.max_new_tokens

        def read(prompt: Prompt, answer: Future[str]) -> Completion:
            found = self.server.read(answer, self.model, prompt.text, limit)
            self.check_count(prompt, found.prompt_tokens)
            begun = regex.fullmatch(self.constraint.regex, found.text, partial=True)
            if begun is None or (found.finish_reason == "stop" and not self.constraint.matches(found.text)):
                raise InputError(
                    f"{self.server.name} ignores the constraint: it wrote "
                    f"{self.server.quote(repr(found.text))}. See its log. "
                    "It may have been started again with other settings."
                )
            return found

        return self.ask_all(prompts, limit, self.dialect.constrain(self.constraint.regex), read)

    def think(
        self, prompts: Sequence[Prompt], tag: str, max_tokens: int
    ) -> Iterator[list[tuple[Prompt, Thought]]]:
        """The model's thoughts, without constraint, up to the tag or max_tokens."""

        def read(prompt: Prompt, answer: Future[str]) -> Thought:
            reply = self.server.reply(answer, self.model, prompt.text, max_tokens)
            self.check_count(prompt, reply.usage.prompt_tokens)
            return thought_of(
                reply.choices[0].text, tag, reply.usage.completion_tokens, reply.usage.prompt_tokens
            )

        return self.ask_all(prompts, max_tokens, self.dialect.stop(tag), read)

    def ask_all(
        self,
        prompts: Sequence[Prompt],
        max_tokens: int,
        fields: Mapping[str, Any],
        read: Callable[[Prompt, Future[str]], Read],
    ) -> Iterator[list[tuple[Prompt, Read]]]:
        """Ask in the order of scenarios, whose prompts begin alike. A batch has about in_flight prompts.

        fields: the fields of the requests in which servers differ. read: makes a result of a reply. If a
        request fails, the answers in flight are yielded before its error is raised.
        """
        fields = {**self.dialect.plain, **fields}
        waiting = deque(sorted(prompts, key=lambda prompt: (prompt.scenario_id, len(prompt.text))))
        flying: dict[Future[str], Prompt] = {}
        done: list[tuple[Prompt, Read]] = []
        failures: list[Exception] = []
        started = time.perf_counter() - self.counters.total_seconds  # thinking may have begun before
        try:
            while flying or (waiting and not failures):
                while waiting and not failures and len(flying) < self.in_flight:
                    prompt = waiting.popleft()
                    flying[self.server.ask(self.model, prompt.text, max_tokens, fields)] = prompt
                for answer in wait(flying, return_when=FIRST_COMPLETED).done:
                    prompt = flying.pop(answer)
                    try:
                        done.append((prompt, read(prompt, answer)))
                    except (ConnectionError, InputError) as error:
                        failures.append(error)
                if len(done) >= self.in_flight or (done and not flying):
                    self.check_served()
                    self.counters.total_seconds = time.perf_counter() - started
                    yield done
                    done = []
        finally:
            for answer in flying:
                answer.cancel()
        if failures:
            raise failures[0]

    def check_count(self, prompt: Prompt, counted: int) -> None:
        """Raises InputError if the server counts other prompt tokens than the model's tokenizer here."""
        expected = self.count_tokens(prompt.text) if self.count_tokens else counted
        if counted != expected:
            raise InputError(
                f"{self.server.name} read {counted} tokens in a prompt of {expected}. It has "
                f"another tokenizer than {self.model} here, or a BOS is missing or doubled. Compare the two."
            )

    def check_served(self) -> None:
        """Raises InputError if the server now serves another model.

        A server that cannot be reached passes this check. Its requests will fail with the reason.
        """
        with suppress(ConnectionError):
            if self.model not in (served := self.server.models()):
                raise InputError(f"{self.server.name} now serves {listed(served)}, not {self.model}.")


def gbnf(regex: str) -> str:
    """A grammar with one rule in llama.cpp's format, GBNF, equivalent to the regex.

    Raises ValueError for anything but characters, classes, groups, |, *, +, ? and {m,n}.
    """
    said, place = [], 0
    while place < len(regex):
        part = PARTS.match(regex, place)
        if part is None:
            raise InputError(f"no grammar can be made from {regex!r}: {regex[place:]!r} is not supported.")
        character = part["escaped"] or part["plain"]
        said.append(json.dumps(character) if character else part[0])
        place = part.end()
    return f"root ::= {' '.join(said)}"
