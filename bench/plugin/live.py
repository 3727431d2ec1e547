"""The progress of the models in one line below pytest's output. The line is hidden while pytest writes."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import pytest

from bench.run.evaluate import Listener
from bench.text import in_words, printable

TICK = 0.5
QUIET_ON_TERMINAL, QUIET_IN_LOG = 2.0, 30.0  # seconds without output before the line appears


class Pace:
    """Repeated counts of answers by model -> one line of progress."""

    def __init__(self, prompts: int, otherwise: str = "working") -> None:
        self.prompts, self.otherwise = prompts, otherwise
        self.began = time.monotonic()
        self.first: dict[str, tuple[float, int]] = {}

    def line(self, counts: Mapping[str, int]) -> str:
        """The unfinished models, or the elapsed time if no model has an answer yet."""
        now = time.monotonic()
        parts, left = [], 0.0
        for name, count in counts.items():
            since, before = self.first.setdefault(name, (now, count))
            if count < self.prompts:
                parts.append(f"{name} {count} of {self.prompts} prompts")
                if count > before:
                    left = max(left, (now - since) / (count - before) * (self.prompts - count))
        passed = f"{int(now - self.began) // 60}:{int(now - self.began) % 60:02}"
        return ", ".join(
            [*(parts or [self.otherwise]), passed, *([f"{in_words(left)} left"] if left else [])]
        )


class Live(Listener):
    """Plugin for the main process while cases run.

    It has its own handle on the terminal, because pytest captures the usual one while a case runs. counts: a
    function that returns the number of answers by model, and runs in another thread. None if this process
    evaluates the models itself.
    """

    def __init__(
        self, reporter: pytest.TerminalReporter, prompts: int, counts: Callable[[], Mapping[str, int]] | None
    ) -> None:
        self.reporter, self.pace = reporter, Pace(prompts)
        self.counted: Counter[str] = Counter()
        self.counts = counts or (lambda: dict(self.counted))
        self.workers = self.free = counts is not None
        self.out = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="replace")
        self.terminal = self.out.isatty()
        self.quiet = QUIET_ON_TERMINAL if self.terminal else QUIET_IN_LOG
        self.lock, self.ended = threading.RLock(), threading.Event()
        self.written, self.shown = time.monotonic(), False
        self.thread = threading.Thread(target=self.watch, daemon=True, name="progress")
        self.thread.start()

    def stop(self) -> None:
        self.ended.set()
        self.thread.join()
        self.erase()
        self.out.close()

    def do(self, what: str) -> None:
        """Show this text instead of the progress. To be called after the last case."""
        with self.lock:
            self.erase()
            self.pace, self.counts, self.free = Pace(0, what), dict, True

    def count(self, name: str, added: int) -> None:
        self.counted[name] += added

    def say(self, name: str, text: str) -> None:
        with self.lock:
            self.erase()
            if self.free:
                self.end_line()
            self.write(f"{printable(f'{name}: {text}')}\n")
            self.written = time.monotonic()

    def watch(self) -> None:
        while not self.ended.wait(TICK):
            if time.monotonic() - self.written >= self.quiet and self.free:
                line = printable(self.pace.line(self.counts()))
                with self.lock:
                    if self.free:
                        self.show(line)

    def show(self, line: str) -> None:
        """Show the line. A terminal redraws one line. A log gets a new line from time to time."""
        if not self.terminal:
            self.end_line()
            self.write(f"{line}\n")
            self.written = time.monotonic()
            return
        columns = os.get_terminal_size(self.out.fileno()).columns or 80
        if not self.shown:
            self.end_line()
        self.write(f"\r{line[: columns - 1]}\x1b[K")
        self.shown = True

    def end_line(self) -> None:
        """End the line that pytest has begun, and tell pytest."""
        writer = self.reporter.config.get_terminal_writer()
        if writer.width_of_current_line:
            writer.line()
        self.reporter.currentfspath = None
        writer.flush()

    @contextmanager
    def visible(self) -> Iterator[None]:
        """Allow output while pytest captures nothing. At other times we cannot end the line of pytest."""
        self.free = True
        try:
            yield
        finally:
            with self.lock:
                self.erase()
                self.free = self.workers

    def erase(self) -> None:
        if self.shown:
            self.write("\r\x1b[K")
        self.shown = False

    def write(self, text: str) -> None:
        self.out.write(text)
        self.out.flush()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logstart(self):
        """Hide the line while pytest writes."""
        with self.lock:
            self.erase()
            yield
            self.written = time.monotonic()

    pytest_runtest_logreport = pytest_runtest_logstart
