"""Prompt -> Completion by a model server: vLLM, SGLang, llama.cpp, or another one with /v1/completions.

A server ignores unknown fields and still answers, so every reply is checked. A canary prompt finds out how
the server takes a constraint. Each answer is checked against the constraint, the requested model and the
numbers of tokens.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import closing, suppress
from typing import Any, TypeVar

import regex

from bench.decoding.client import Client, Refused, result
from bench.decoding.constraint import Constraint
from bench.decoding.grammar import gbnf
from bench.decoding.reply import Cards, Reply, cut_early, impossible
from bench.inputs import InputError, parse_json
from bench.records import Completion, Counters, Prompt
from bench.text import printable

# Request fields for a constraint and for plain greedy decoding, by kind of server. Without them vLLM and
# SGLang would use penalties from the checkpoint's generation_config.json.
DIALECTS: Mapping[str, Callable[[str], dict[str, Any]]] = {
    "vllm": lambda pattern: {"structured_outputs": {"regex": pattern}, "repetition_penalty": 1.0},
    "sglang": lambda pattern: {"regex": pattern, "repetition_penalty": 1.0},
    "llamacpp": lambda pattern: {"grammar": gbnf(pattern), "repeat_penalty": 1.0},
}
OWNERS = {"me": "llamacpp"}  # owned_by in /v1/models, if it is not the dialect's name (llama-cpp-python)
CANARY = Constraint("(xq|zq){3}", 24)  # no model writes this without the constraint
SHOWN, NAME = 5, 100  # number of model names in a message, and characters of each
Kind = TypeVar("Kind")


class Server(Client):
    """One model server, asked in OpenAI's protocol."""

    def models(self) -> dict[str, str]:
        """The id and owner of each model. Raises ConnectionError if the server does not list them."""
        said = result(self.start(self.get("models")))
        return {card.id: card.owned_by or "" for card in self.decode(said, Cards).data}

    def ask(self, model: str, prompt: str, constraint: Constraint, dialect: str) -> Future[str]:
        """Ask for one answer. The future raises Refused or ConnectionError."""
        body = {
            "model": model,
            "prompt": prompt,
            "temperature": 0,
            "max_tokens": constraint.max_new_tokens,
            **DIALECTS[dialect](constraint.regex),
        }
        return self.start(self.post("completions", body))

    def read(self, answer: Future[str], model: str, prompt: str, constraint: Constraint) -> Completion:
        """Wait for an answer and check it. Raises Refused, ConnectionError or InputError."""
        reply = self.reply(answer, model, prompt, constraint.max_new_tokens)
        if problem := cut_early(reply, constraint.max_new_tokens):
            raise InputError(f"{self.name} {problem}.")
        (choice,) = reply.choices
        return Completion(choice.text, choice.finish_reason, reply.usage.prompt_tokens)

    def reply(self, answer: Future[str], model: str, prompt: str, max_tokens: int) -> Reply:
        """Wait for a reply and check its model and numbers. Raises the same errors as `read`."""
        found = self.decode(result(answer), Reply)
        if problem := impossible(found, model, prompt, max_tokens):
            raise InputError(f"{self.name} {self.quote(problem)}.")
        return found

    def decode(self, said: str, kind: type[Kind]) -> Kind:
        try:
            return parse_json(said, kind, "its reply")
        except InputError as error:
            raise ConnectionError(
                f"{self.name} does not speak OpenAI's protocol: {self.quote(error)} "
                "Check --boxes-server. A URL usually ends in /v1."
            ) from None


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
        self.dialect = self.find_dialect(canary)
        self.name = f"server/1 {self.dialect}"
        self.reason = f"asked for: {model} at {server.url}"

    def find_dialect(self, canary: Prompt) -> str:
        """Find out how the server takes a constraint. The dialect suggested by /v1/models is tried first."""
        owner = self.server.models().get(self.model, "")
        likely = OWNERS.get(owner, owner)
        said = []
        for dialect in sorted(DIALECTS, key=lambda dialect: dialect != likely):
            asked = self.server.ask(self.model, canary.text, CANARY, dialect)
            try:
                answer = self.server.read(asked, self.model, canary.text, CANARY)
            except Refused as error:
                said.append(f"{dialect}: {error}")
                continue
            if CANARY.matches(answer.text):
                self.check_count(canary, answer)
                return dialect
            said.append(f"{dialect}: it wrote {self.server.quote(repr(answer.text))}")
        raise InputError(
            f"{self.server.name} ignores a constraint ({'; '.join(said)}). "
            "Use a version of vLLM, SGLang or llama.cpp that takes structured_outputs, regex or grammar."
        )

    def complete(self, prompts: Sequence[Prompt]) -> Iterator[list[tuple[Prompt, Completion]]]:
        """Complete in the order of scenarios, whose prompts begin alike. A batch has about in_flight prompts.

        If a request fails, the answers in flight are yielded before its error is raised.
        """
        waiting = deque(sorted(prompts, key=lambda prompt: (prompt.scenario_id, len(prompt.text))))
        flying: dict[Future[str], Prompt] = {}
        done: list[tuple[Prompt, Completion]] = []
        failures: list[Exception] = []
        started = time.perf_counter()
        try:
            while flying or (waiting and not failures):
                while waiting and not failures and len(flying) < self.in_flight:
                    prompt = waiting.popleft()
                    flying[self.ask(prompt)] = prompt
                for answer in wait(flying, return_when=FIRST_COMPLETED).done:
                    prompt = flying.pop(answer)
                    try:
                        done.append((prompt, self.read(prompt, answer)))
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

    def ask(self, prompt: Prompt) -> Future[str]:
        return self.server.ask(self.model, prompt.text, self.constraint, self.dialect)

    def read(self, prompt: Prompt, answer: Future[str]) -> Completion:
        """The answer to one prompt. Raises InputError if it breaks the constraint."""
        found = self.server.read(answer, self.model, prompt.text, self.constraint)
        self.check_count(prompt, found)
        begun = regex.fullmatch(self.constraint.regex, found.text, partial=True)
        if begun is None or (found.finish_reason == "stop" and not self.constraint.matches(found.text)):
            raise InputError(
                f"{self.server.name} ignores the constraint: it wrote {self.server.quote(repr(found.text))}. "
                "See its log. It may have been started again with other settings."
            )
        return found

    def check_count(self, prompt: Prompt, answer: Completion) -> None:
        """Raises InputError if the server counts other prompt tokens than the model's tokenizer here."""
        expected = self.count_tokens(prompt.text) if self.count_tokens else answer.prompt_tokens
        if answer.prompt_tokens != expected:
            raise InputError(
                f"{self.server.name} read {answer.prompt_tokens} tokens in a prompt of {expected}. It has "
                f"another tokenizer than {self.model} here, or a BOS is missing or doubled. Compare the two."
            )

    def check_served(self) -> None:
        """Raises InputError if the server now serves another model.

        A server that cannot be reached passes this check. Its requests will fail with the reason.
        """
        with suppress(ConnectionError):
            if self.model not in (served := self.server.models()):
                raise InputError(f"{self.server.name} now serves {listed(served)}, not {self.model}.")
