"""The store as it grows -> lines in the terminal: how far every model is, whichever process evaluates it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from bench.store import Store

ADDED = """
SELECT runs.model, count(*) FROM completions JOIN runs ON runs.number = completions.run
WHERE completions.number > ? GROUP BY runs.model ORDER BY min(completions.number)
"""


class Progress:
    """While it is entered, a line every few seconds in which completions were added to a store.

    Workers' own output does not reach the terminal; what they keep does. say: called in another thread.
    """

    def __init__(self, store: Path | str, say: Callable[[str], object], interval: float = 10.0) -> None:
        self.path, self.say, self.interval = store, say, interval
        self.started, self.ended = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True, name="progress of the store")

    def __enter__(self) -> Progress:
        self.thread.start()
        self.started.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.ended.set()
        self.thread.join()

    def watch(self) -> None:
        with suppress(OSError, ValueError), Store(self.path) as store:  # who writes to it says what is wrong
            start = last_number(store)
            self.started.set()
            before: dict[str, int] = {}
            while not self.ended.wait(self.interval):
                added = added_since(store, start)
                if added != before:
                    self.say(", ".join(f"{model}: {count} completed" for model, count in added.items()))
                before = added
        self.started.set()


def last_number(store: Store) -> int:
    """The number of the newest completion, 0 in an empty store."""
    [(number,)] = store.read("SELECT ifnull(max(number), 0) FROM completions")
    return int(number)


def added_since(store: Store, number: int) -> dict[str, int]:
    """How many completions each model got after that one, whichever process evaluated it."""
    return dict(store.read(ADDED, number))
