"""Request -> reply of a model server, as text, with limits on time and size, and without the key.

All text from a server comes through this module. `Client.strike` removes the key before the text is parsed,
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
from typing import Any, TypeVar

import httpx2

from bench.inputs import InputError
from bench.text import printable

KEY = "BOXES_SERVER_KEY"  # an environment variable, because options end up in reports
PAUSES = (0.5, 1, 2, 4, *[8] * 16)  # seconds before each retry; a server may take 2 minutes to restart
TIMEOUT = 900.0  # seconds for one answer, retries included
LIST_TIMEOUT = 60.0  # seconds for the list of models
MAX_BYTES = 4_000_000  # of one reply; the longest answer has about 10,000
QUOTED = 300  # characters of a server's text in a message
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


class Client:
    """HTTP to one server. Errors name the server, what is wrong, and what to do."""

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

    async def get(self, path: str) -> str:
        """The body of a reply. Raises ConnectionError, within LIST_TIMEOUT."""
        return await self.within(LIST_TIMEOUT, self.ask_again("GET", path, None, PAUSES[:2]))

    async def post(self, path: str, body: Mapping[str, Any]) -> str:
        """The body of a reply. Raises Refused or ConnectionError, within TIMEOUT."""
        return await self.within(TIMEOUT, self.ask_again("POST", path, body, PAUSES))

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
