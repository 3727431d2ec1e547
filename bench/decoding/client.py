"""Request -> checked reply of a model server in OpenAI's protocol, with limits on time and size.

All text from a server comes through this module. `Server.strike` removes the key before the text is parsed,
shown or raised.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import ssl
import threading
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import Future
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Annotated, Any, Literal, TypeVar

import httpx2
import msgspec

from bench.inputs import InputError, parse_json
from bench.records import Completion
from bench.text import printable

KEY = "BOXES_SERVER_KEY"  # an environment variable, because options end up in reports
PAUSES = (0.5, 1, 2, 4, *[8] * 16)  # seconds before each retry; a server may take 2 minutes to restart
TIMEOUT = 900.0  # seconds for one answer, retries included
LIST_TIMEOUT = 60.0  # seconds for the list of models
MAX_BYTES = 4_000_000  # of one reply; the longest answer has about 10,000
QUOTED = 300  # characters of a server's text in a message
TOKEN = 128  # largest number of characters of a token, in all vocabularies that we know
ADDED = 8  # largest number of prompt tokens besides those of its bytes: BOS, a leading space
LOST = (httpx2.NetworkError, httpx2.RemoteProtocolError)  # errors that a retry may solve
ADVICE = {
    401: f"Put its key into ${KEY}.",
    403: f"Put its key into ${KEY}.",
    404: "Check --boxes-server. A URL usually ends in /v1.",
}
Value = TypeVar("Value")

for name in ("httpx2", "httpcore2"):
    logging.getLogger(name).setLevel(logging.CRITICAL)  # they log headers, which may contain the key


class Refused(InputError):
    """A server refuses a request. Another dialect may work."""


class Card(msgspec.Struct):
    """A model of /v1/models."""

    id: str
    owned_by: str | None = None


class Cards(msgspec.Struct):
    data: Annotated[list[Card], msgspec.Meta(max_length=10_000)]


class Choice(msgspec.Struct):
    text: str
    finish_reason: Literal["stop", "length"]


class Usage(msgspec.Struct):
    prompt_tokens: Annotated[int, msgspec.Meta(gt=0)]
    completion_tokens: Annotated[int, msgspec.Meta(ge=0)]


class Reply(msgspec.Struct):
    """The fields of a reply of /v1/completions that are used."""

    model: str
    choices: Annotated[list[Choice], msgspec.Meta(min_length=1, max_length=1)]
    usage: Usage


def server_key() -> str:
    """The key for servers, "" if none is set.

    Raises InputError for a key that HTTP cannot carry, or that is too short to be removed safely from text.
    """
    key = os.environ.get(KEY, "").strip()
    if key and not re.fullmatch(r"[!-~]{8,}", key):
        raise InputError(f"${KEY} must be 8 or more visible ASCII characters. Set another key, or none.")
    return key


def spellings(key: str) -> re.Pattern[str]:
    """A regex that matches a key as plain text and with JSON escapes."""
    return re.compile("".join(rf"(?:{re.escape(c)}|\\{re.escape(c)}|\\u00(?i:{ord(c):02x}))" for c in key))


@cache
def loop() -> asyncio.AbstractEventLoop:
    """An event loop in its own thread. Its timeouts can end a request at any point."""
    made = asyncio.new_event_loop()
    threading.Thread(target=made.run_forever, name="servers", daemon=True).start()
    return made


@cache
def authorities() -> ssl.SSLContext:
    """The trusted certificates. Reading them takes 20 ms."""
    return httpx2.create_ssl_context()


def result(future: Future[Value]) -> Value:
    """The future's result. Raises its exception without frames and causes that may contain the key."""
    if (error := future.exception()) is None:
        return future.result()
    error.__cause__ = error.__context__ = None
    raise error.with_traceback(None)


class Server:
    """One model server. Errors name the server, what is wrong, and what to do."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.name = f"the server at {url}"
        key = server_key()
        self.key = spellings(key) if key else None
        self.http = httpx2.AsyncClient(
            base_url=url,
            headers={"Accept-Encoding": "identity"} | ({"Authorization": f"Bearer {key}"} if key else {}),
            timeout=httpx2.Timeout(None, connect=10),
            verify=authorities(),
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        )

    def close(self) -> None:
        result(self.start(self.http.aclose()))

    def start(self, work: Coroutine[Any, Any, Value]) -> Future[Value]:
        return asyncio.run_coroutine_threadsafe(work, loop())

    def strike(self, said: str) -> str:
        """Text from the server with *** instead of the key."""
        return self.key.sub("***", said) if self.key else said

    def quote(self, said: object) -> str:
        """Text from the server for a message: one line, without the key, cut after 300 characters."""
        return printable(self.strike(str(said))[: 10 * QUOTED])[:QUOTED]

    def models(self) -> dict[str, str]:
        """The id and owner of each model. Raises ConnectionError if the server does not list them."""
        asked = self.within(LIST_TIMEOUT, self.ask_again("GET", "models", None, PAUSES[:2]))
        return {card.id: card.owned_by or "" for card in self.decode(result(self.start(asked)), Cards).data}

    def ask(self, model: str, prompt: str, max_tokens: int, fields: Mapping[str, Any]) -> Future[str]:
        """Ask for one answer. The future raises Refused or ConnectionError.

        fields: the fields of the request in which servers differ.
        """
        body = {"model": model, "prompt": prompt, "temperature": 0, "max_tokens": max_tokens, **fields}
        return self.start(self.within(TIMEOUT, self.ask_again("POST", "completions", body, PAUSES)))

    def read(self, answer: Future[str], model: str, prompt: str, max_tokens: int) -> Completion:
        """Wait for an answer and check it. Raises Refused, ConnectionError or InputError."""
        reply = self.reply(answer, model, prompt, max_tokens)
        (choice,), wrote = reply.choices, reply.usage.completion_tokens
        if choice.finish_reason == "length" and (wrote < max_tokens or not choice.text):
            raise InputError(
                f"{self.name} cut an answer of {len(choice.text)} characters after {wrote} of {max_tokens} "
                "tokens. Give it a longer context: --max-model-len of vLLM, --context-length of SGLang, "
                "-c of llama.cpp."
            )
        return Completion(choice.text, choice.finish_reason, reply.usage.prompt_tokens)

    def reply(self, answer: Future[str], model: str, prompt: str, max_tokens: int) -> Reply:
        """Wait for a reply and check its model and numbers. Raises the same errors as `read`."""
        found = self.decode(result(answer), Reply)
        text, read, wrote = found.choices[0].text, found.usage.prompt_tokens, found.usage.completion_tokens
        if found.model != model:
            problem = f"was asked for {model}, but {found.model} answered. Serve {model}"
        elif not len(prompt) / TOKEN <= read <= len(prompt.encode()) + ADDED:
            problem = f"counted {read} tokens in a prompt of {len(prompt)} characters"
        elif wrote > max_tokens or len(text) > wrote * TOKEN:
            problem = (
                f"counted {wrote} tokens in an answer of {len(text)} characters, "
                f"but the request allowed at most {max_tokens}"
            )
        else:
            return found
        raise InputError(f"{self.name} {self.quote(problem)}.")

    def decode(self, said: str, kind: type[Value]) -> Value:
        try:
            return parse_json(said, kind, "its reply")
        except InputError as error:
            raise ConnectionError(
                f"{self.name} does not speak OpenAI's protocol: {self.quote(error)} "
                "Check --boxes-server. A URL usually ends in /v1."
            ) from None

    async def within(self, seconds: float, work: Coroutine[Any, Any, str]) -> str:
        try:
            async with asyncio.timeout(seconds):
                return await work
        except TimeoutError:
            pass
        raise ConnectionError(
            f"{self.name} timed out: it gave no complete answer in {seconds:g} seconds. See its log."
        )

    async def ask_again(
        self, method: str, path: str, body: Mapping[str, Any] | None, pauses: Sequence[float]
    ) -> str:
        """The body of a reply. The request is repeated after 429, 5xx and lost connections."""
        for pause in (*pauses, None):
            try:
                status, said = await self.fetch(method, path, body)
            except Exception as error:  # any error that a reply can cause, since its text may have the key
                failure: Exception = self.unreachable(error)
                passing = isinstance(error, LOST)
            else:
                if status == 200:
                    return said
                failure, passing = self.explain(status, said), status == 429 or status >= 500
            if pause is None or not passing:
                raise failure
            await asyncio.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    async def fetch(self, method: str, path: str, body: Mapping[str, Any] | None) -> tuple[int, str]:
        """Status and body of one reply. Raises httpx2.HTTPError, or ValueError for a too long body."""
        content = bytearray()
        async with self.http.stream(method, path, json=body) as reply:
            if "Content-Encoding" in reply.headers:
                raise ValueError("its reply is compressed, which the request did not allow")
            async for part in reply.aiter_raw():
                content += part
                if len(content) > MAX_BYTES:
                    raise ValueError(f"its reply is longer than {MAX_BYTES:,} bytes")
        return reply.status_code, self.strike(content.decode(errors="replace"))

    def unreachable(self, error: Exception) -> ConnectionError:
        cause: BaseException = error
        while earlier := cause.__cause__ or cause.__context__:  # the first error has the real cause
            cause = earlier
        number = cause.errno if isinstance(cause, OSError) else None
        said = self.quote(os.strerror(number) if number else str(cause) or type(cause).__name__)
        return ConnectionError(
            f"{self.name} cannot be reached ({said}). Start it and run again. "
            "Answers in the store are not asked for again."
        )

    def explain(self, status: int, said: str) -> Exception:
        kind = Refused if status in (400, 422) else ConnectionError
        return kind(
            f"{self.name} answered {status}: {self.quote(said)}. {ADVICE.get(status, 'See its log.')}"
        )
