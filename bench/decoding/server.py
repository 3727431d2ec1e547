"""Prompt -> Completion by a model server: vLLM, SGLang, llama.cpp, or what else speaks /v1/completions.

A server ignores a field that it does not know, and answers all the same. So nothing is taken on trust: a
canary finds out how it is told a constraint, and every answer is held to the constraint, to the model that
was asked, and to the number of tokens in the prompt where the model's tokenizer is here.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from typing import Any, TypeVar

import openai
import regex

from bench.decoding.constraint import Constraint
from bench.decoding.grammar import gbnf
from bench.records import Completion, Counters, Prompt

# How a server is told what may be written, and to choose by the model's own logits alone: vLLM and SGLang
# would else take penalties from the checkpoint's generation_config.json.
DIALECTS: Mapping[str, Callable[[str], dict[str, Any]]] = {
    "vllm": lambda pattern: {"structured_outputs": {"regex": pattern}, "repetition_penalty": 1.0},
    "sglang": lambda pattern: {"regex": pattern, "repetition_penalty": 1.0},
    "llamacpp": lambda pattern: {"grammar": gbnf(pattern), "repeat_penalty": 1.0},
}
OWNERS = {"me": "llamacpp"}  # owned_by in /v1/models where it is not the dialect's name: llama-cpp-python
CANARY = Constraint("(xq|zq){3}", 24)  # no model says this of its own accord
KEY = "BOXES_SERVER_KEY"  # an environment variable, because options end up in reports
PAUSES = (0.5, 1, 2, 4, *[8] * 16)  # seconds before each retry: a server that comes back in 2 minutes is met
TIMEOUT = 600.0  # seconds for one answer
Answer = TypeVar("Answer")


class Refused(ValueError):
    """A server does not take a request as it is: another dialect may be its own."""


class Server:
    """A client of one server. What it raises says which server, what is wrong, and what to do."""

    def __init__(self, url: str) -> None:
        self.name = f"the server at {url}"
        self.key = os.environ.get(KEY) or "no-key"
        timeout = openai.Timeout(TIMEOUT, connect=10)
        self.client = openai.OpenAI(base_url=url, api_key=self.key, max_retries=0, timeout=timeout)

    def models(self) -> dict[str, str]:
        """Id -> owner of each model that it has. Raises ConnectionError if it does not tell."""
        return self.send(lambda: {card.id: card.owned_by for card in self.client.models.list()}, PAUSES[:2])

    def complete(self, model: str, text: str, constraint: Constraint, dialect: str) -> Completion:
        """One answer, as it comes. Raises Refused, ConnectionError, ValueError if another model answers."""
        fields = DIALECTS[dialect](constraint.regex)

        def ask() -> tuple[str, Completion]:
            answer = self.client.completions.create(
                model=model,
                prompt=text,
                temperature=0,
                max_tokens=constraint.max_new_tokens,
                extra_body=fields,
            )
            (choice,), usage = answer.choices, answer.usage
            if (
                choice.finish_reason not in ("stop", "length")
                or not isinstance(choice.text, str)
                or not usage
            ):
                raise ValueError(f"an answer broken off, or not counted: {answer!r:.200}")
            return answer.model, Completion(choice.text, choice.finish_reason, usage.prompt_tokens)

        answered, completion = self.send(ask, PAUSES)
        if answered != model:
            raise ValueError(f"{self.name} was asked for {model}, and {answered} answered. Serve {model}.")
        return completion

    def send(self, ask: Callable[[], Answer], pauses: Sequence[float]) -> Answer:
        """Ask again after 429, 5xx and lost connections. Raises Refused, ConnectionError."""
        for pause in (*pauses, None):
            try:
                return ask()
            except openai.APIStatusError as error:
                lasting = error.status_code != 429 and error.status_code < 500
                if lasting or pause is None:
                    kind = Refused if error.status_code in (400, 422) else ConnectionError
                    raise kind(self.explain(error)) from error
            except openai.APIConnectionError as error:
                if pause is None or isinstance(error, openai.APITimeoutError):
                    raise ConnectionError(
                        f"{self.name} cannot be reached ({error.__cause__ or error}). Start it, and run "
                        "again: what the store has is not asked for again."
                    ) from error
            except (openai.APIError, AttributeError, TypeError, ValueError) as error:
                raise ConnectionError(
                    f"{self.name} does not speak OpenAI's protocol ({error!r:.300}). "
                    "Check --boxes-server: a URL mostly ends in /v1."
                ) from error
            time.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def explain(self, error: openai.APIStatusError) -> str:
        said = " ".join(error.message.replace(self.key, "***").split())[:300]
        advice = {
            401: f"Put its key into ${KEY}.",
            403: f"Put its key into ${KEY}.",
            404: "Check --boxes-server: a URL mostly ends in /v1.",
        }
        return f"{self.name} answered: {said}. {advice.get(error.status_code, 'Look into its log.')}"


def find(names: Sequence[str], known: Collection[str], urls: Sequence[str]) -> tuple[str, str] | None:
    """The URL of a server that has a model, and the model's id there; None if no server has it.

    names: what the model may be called. known: the same of all models of the suite. Raises ValueError for
    a server that has none of those, ConnectionError for one that may have it and does not tell.
    """
    unreachable: list[ConnectionError] = []
    strangers: list[str] = []
    for url in urls:
        try:
            served = Server(url).models()
        except ConnectionError as error:
            unreachable.append(error)
            continue
        if found := [name for name in names if name in served]:
            return url, found[0]
        if not served.keys() & set(known):
            strangers.append(f"the server at {url} serves {', '.join(served) or 'nothing'}")
    if unreachable:
        raise unreachable[0]
    if strangers:
        raise ValueError(
            f"{'; '.join(strangers)}, and no model of the suite. Serve this one as {' or '.join(names)} "
            "(--served-model-name of vLLM and SGLang, --alias or --model_alias of llama.cpp)."
        )
    return None


class ServerEngine:
    """One model of one server, asked for several answers at a time.

    canary: any prompt of the run. count_tokens: of a prompt, None where the tokenizer is not here.
    Raises ValueError if the server does not keep to a constraint.
    """

    def __init__(
        self,
        url: str,
        model: str,
        constraint: Constraint,
        canary: Prompt,
        *,
        count_tokens: Callable[[str], int] | None = None,
        in_flight: int = 16,
    ) -> None:
        self.server = Server(url)
        self.model = model
        self.constraint = constraint
        self.count_tokens = count_tokens
        self.in_flight = in_flight
        self.counters = Counters()
        self.dialect = self.find_dialect(canary)
        self.name = f"server/1 {self.dialect}"
        self.reason = f"asked for: {model} at {url}"

    def find_dialect(self, canary: Prompt) -> str:
        """How the server is told a constraint: tried first, what its entry in /v1/models suggests."""
        owner = self.server.models().get(self.model, "")
        likely = OWNERS.get(owner, owner)
        said = []
        for dialect in sorted(DIALECTS, key=lambda dialect: dialect != likely):
            try:
                answer = self.server.complete(self.model, canary.text, CANARY, dialect)
            except Refused as error:
                said.append(f"{dialect}: {error}")
                continue
            if CANARY.matches(answer.text):
                self.check_count(canary, answer)
                return dialect
            said.append(f"{dialect}: it wrote {answer.text!r}")
        raise ValueError(
            f"{self.server.name} ignores a constraint ({'; '.join(said)}). "
            "Use a version of vLLM, SGLang or llama.cpp that takes structured_outputs, regex or grammar."
        )

    def complete(self, prompts: Sequence[Prompt]) -> Iterator[list[tuple[Prompt, Completion]]]:
        """In the order of scenarios, whose prompts begin alike; a batch is as many as are in flight.

        When one fails, those in flight are waited for and yielded before it is raised.
        """
        waiting = deque(sorted(prompts, key=lambda prompt: (prompt.scenario_id, len(prompt.text))))
        flying: dict[Future[Completion], Prompt] = {}
        done: list[tuple[Prompt, Completion]] = []
        failures: list[BaseException] = []
        started = time.perf_counter()
        with ThreadPoolExecutor(self.in_flight) as pool:
            while flying or (waiting and not failures):
                while waiting and not failures and len(flying) < self.in_flight:
                    prompt = waiting.popleft()
                    flying[pool.submit(self.ask, prompt)] = prompt
                for future in wait(flying, return_when=FIRST_COMPLETED).done:
                    prompt = flying.pop(future)
                    if error := future.exception():
                        failures.append(error)
                    else:
                        done.append((prompt, future.result()))
                if len(done) >= self.in_flight or (done and not flying):
                    self.check_served()
                    self.counters.total_seconds = time.perf_counter() - started
                    yield done
                    done = []
        if failures:
            raise failures[0]

    def ask(self, prompt: Prompt) -> Completion:
        """The answer to one prompt. Raises ValueError if it is not what the constraint allows."""
        answer = self.server.complete(self.model, prompt.text, self.constraint, self.dialect)
        self.check_count(prompt, answer)
        begun = regex.fullmatch(self.constraint.regex, answer.text, partial=True)
        if begun is None or (answer.finish_reason == "stop" and not self.constraint.matches(answer.text)):
            raise ValueError(
                f"{self.server.name} ignores the constraint: it wrote {answer.text!r:.300}. "
                "Look into its log, and whether it was started again with other settings."
            )
        return answer

    def check_count(self, prompt: Prompt, answer: Completion) -> None:
        """Raises ValueError if the server read other tokens than the model's tokenizer makes here."""
        expected = self.count_tokens(prompt.text) if self.count_tokens else answer.prompt_tokens
        if answer.prompt_tokens != expected:
            raise ValueError(
                f"{self.server.name} read {answer.prompt_tokens} tokens in a prompt of {expected}: it has "
                f"another tokenizer than {self.model} here, or adds a BOS too many or none. Compare the two."
            )

    def check_served(self) -> None:
        """Raises ValueError if another model has taken the server's place.

        None has where it cannot be reached now; the requests to it will say why not.
        """
        with suppress(ConnectionError):
            if self.model not in (served := self.server.models()):
                raise ValueError(f"{self.server.name} now serves {', '.join(served)}, and not {self.model}.")
