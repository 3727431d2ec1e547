"""The terminal as a person sees it: a pseudo-terminal, a slow model, and the final screen."""

from __future__ import annotations

import re
import signal
import sys
from pathlib import Path

import pexpect
import pyte
import pytest

from bench import ROOT

SUITE = """
name = "slow"
[[models]]
name = "one"
path = "one"
[[models]]
name = "two"
path = "two"
[[pairs]]
hypothesis = "code"
base = "one"
variant = "two"
"""
SLOW = """
import time
from contextlib import contextmanager

class Slow:
    name, reason = "speculative/1", "a test"
    def __init__(self, golds, counters, completion):
        self.golds, self.counters, self.completion = golds, counters, completion
    def complete(self, prompts):
        for prompt in prompts:
            time.sleep({delay})
            yield [(prompt, self.completion(self.golds[prompt.example_id], "stop", 1))]

def pytest_sessionstart():
    from bench.plugin import live
    from bench.records import Completion, Counters, Prompt
    from bench.run import evaluate, start
    from bench.task.prompts import gold_statement

    @contextmanager
    def loaded(entry, plan, listener):
        golds = {{example.id: gold_statement(example) for example in plan.examples}}
        prompts = [Prompt(example.id, example.scenario_id, "") for example in plan.examples]
        yield Slow(golds, Counters(), Completion), prompts, {{}}

    live.TICK, live.QUIET_ON_TERMINAL = 0.02, 0.1  # seconds
    start.loaded = loaded
    evaluate.models.fingerprint = lambda entry: {{"name": entry.name}}
    evaluate.models.unavailable = lambda entry, gpus=1: None
    evaluate.models.num_bytes = lambda entry: 0
"""
LETTERS = re.compile(r"(?:\S+\.py )?([.sxXFE]+)\s*(?:\[ *\d+%\])?")


def hear_ctrl_c() -> None:
    """A shell's background job ignores SIGINT, and so would all that it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Terminal:
    """Run pytest in a pseudo-terminal. Returns the final screen as lines."""

    def __init__(self, folder: Path, columns: int, lines: int, *options: str, delay: float = 0.1) -> None:
        (folder / "suite.toml").write_text(SUITE)
        (folder / "slow.py").write_text(SLOW.format(delay=delay))
        command = [
            *("-m", "pytest", f"--rootdir={ROOT}", f"--config-file={ROOT / 'pytest.ini'}"),
            *(f"--confcutdir={ROOT}", "-p", "no:cacheprovider", "-p", "slow"),
            str(ROOT / "tests" / "hypotheses" / "test_code.py"),
            *("--boxes-suite=suite.toml", "--boxes-store=store.sqlite", "--boxes-report-dir=reports"),
            *("--boxes-limit=12", *options),
        ]
        self.child = pexpect.spawn(
            sys.executable, command, cwd=str(folder), dimensions=(lines, columns), timeout=120,
            env={"PYTHONPATH": f"{folder}:{ROOT}", "TERM": "xterm", "PATH": "/usr/bin:/bin", "HOME": "."},
            preexec_fn=hear_ctrl_c,
        )  # fmt: skip
        self.screen = pyte.Screen(columns, 400)  # taller than the terminal, so that nothing scrolls away
        self.stream = pyte.ByteStream(self.screen)
        self.raw = b""

    def until(self, pattern: str) -> None:
        self.child.expect(pattern)
        self.feed(self.child.before + self.child.after)

    def to_end(self) -> list[str]:
        self.child.expect(pexpect.EOF)
        self.feed(self.child.before)
        self.child.close()
        return self.lines()

    def feed(self, text: bytes) -> None:
        self.raw += text
        self.stream.feed(text)

    def lines(self) -> list[str]:
        return [line.rstrip() for line in self.screen.display if line.strip()]


def cases(lines: list[str]) -> int:
    """The letters of cases, from lines that contain nothing else."""
    return sum(len(found[1]) for line in lines if (found := LETTERS.fullmatch(line)))


@pytest.mark.parametrize(
    ("columns", "lines", "options"),
    [
        pytest.param(80, 24, ["-n0", "-q"], id="80 columns, alone, quiet"),
        *(
            pytest.param(*size, options, id=f"{size[0]} {' '.join(options)}", marks=pytest.mark.nightly)
            for size in ((80, 24), (100, 40))
            for options in (["-n0"], ["-n2"], ["-n2", "-q"], ["-n0", "-v"], ["-n2", "-v"])
        ),
    ],
)
def test_progress_and_cases_do_not_overwrite_each_other(
    columns: int, lines: int, options: list[str], tmp_path: Path
) -> None:
    terminal = Terminal(tmp_path, columns, lines, *options)
    shown = terminal.to_end()
    text = "\n".join(shown)
    assert re.search(rb"one \d+ of 12 prompts, 0:\d\d", terminal.raw), text  # it was visible
    assert "of 12 prompts" not in text  # and was erased
    assert shown.index(next(line for line in shown if line.startswith("2 models, 12 prompts each"))) < 9
    if "-v" in options:
        whole = "".join(shown)  # a long id wraps within a word
        assert len(re.findall(r"PASSED|XFAIL|SKIPPED|FAILED", whole)) == 9
    else:
        assert cases(shown) == 9, text
    table = [line for line in shown if re.match(r" ?(right|one|two|random|n |hypothesis|code) ", line)]
    assert len(table) >= 6 and max(map(len, table)) <= 80
    assert "NOTSET" not in text


def test_ctrl_c_says_what_is_kept_and_how_to_go_on(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, 80, 24, "-n0", "-q", delay=3)
    terminal.until(r"one \d+ of 12 prompts")
    terminal.child.kill(signal.SIGINT)
    shown = " ".join(terminal.to_end())
    kept = re.search(r"Stopped\. (\d+) answers of this run are kept in store\.sqlite", shown)
    assert kept and 0 < int(kept[1]) < 24, shown
    assert "Run the same command again to continue." in shown
