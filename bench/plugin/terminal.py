"""State -> the terminal: announcement, progress and results. It also writes the report at the end."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Mapping
from contextlib import suppress
from io import StringIO
from pathlib import Path

import pytest

from bench.plugin.cases import FAILED, SKIPPED
from bench.plugin.live import Live
from bench.plugin.state import State
from bench.records import BUCKETS, ModelEntry, Results, Verdict
from bench.run.plans import models_of
from bench.run.progress import added_since, kept_for, kept_of, last_number, preview, rough_seconds
from bench.scoring.sentences import CONTROL_CASES
from bench.scoring.verdicts import families
from bench.store import Store
from bench.text import counted, in_words, printable

SHOWN = 3  # models that share a reason
STYLES = {"better": "green", "worse": "red", "equivalent": "cyan"}
CONTROL_STYLES = {"passes": "green", "fails": "red"}


class Terminal:
    """Plugin for the main process, from our first case on."""

    def __init__(self, config: pytest.Config, state: State) -> None:
        self.config, self.state = config, state
        self.live: Live | None = None

    @property
    def reporter(self) -> pytest.TerminalReporter:
        return self.config.pluginmanager.getplugin("terminalreporter")

    @property
    def width(self) -> int:
        return min(self.config.get_terminal_writer().fullwidth, 120)

    def say(self, text: str, **style: bool) -> None:
        self.reporter.ensure_newline()
        if (writer := self.config.get_terminal_writer()).width_of_current_line:  # xdist redraws its line
            writer.line()
        for line in textwrap.wrap(printable(text), self.width - 1, break_on_hyphens=False):
            self.reporter.write_line(line, **style)

    def begin(self) -> None:
        """Announce the run, and start to show its progress."""
        if self.live is not None:
            return
        state, has_workers = self.state, bool(self.config.getoption("numprocesses", None))
        names, prompts = state.runnable, len(state.plan.examples)
        self.say(announcement(state))
        if state.options.limit is not None:
            from bench.simulation.power import warning

            self.say(warning(state.plan.examples, max(map(len, families(state.ran_pairs())), default=1)))
        counts = None
        if has_workers:
            counts = (lambda: {}) if state.options.in_memory else counter(state.options.store)
        if names:
            self.live = Live(self.reporter, prompts, counts)
            self.config.pluginmanager.register(self.live, "boxes-live")
            if not has_workers:
                state.session.listener = self.live

    def end(self) -> None:
        if self.live is not None and self.config.pluginmanager.unregister(name="boxes-live"):
            self.live.stop()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect the reason why a model did not run, from a case in this process or in a worker."""
        for kind, told in ((SKIPPED, self.state.skipped), (FAILED, self.state.failed)):
            told.update(json.loads(str(value)) for name, value in report.user_properties if name == kind)

    def pytest_keyboard_interrupt(self) -> None:
        self.end()

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the report, once. Drawing the figures of many pairs takes a while."""
        if self.live is not None:
            self.live.do("writing the report")
        try:
            if self.state.asked() and session.exitstatus != pytest.ExitCode.USAGE_ERROR:
                session.exitstatus = self.state.finish(session.exitstatus)
        finally:
            self.end()

    def pytest_terminal_summary(self, exitstatus: int) -> None:
        if self.state.offered and exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
            self.say(self.nothing_selected(), red=True)
        if self.state.results is not None:
            if self.state.nights:
                self.state.nights.show(self.reporter)
            self.show_results(self.state.results)
        if self.state.asked() and exitstatus == pytest.ExitCode.INTERRUPTED:
            self.say(stopped(self.state), bold=True)

    def show_results(self, results: Results) -> None:
        self.reporter.section("entity tracking")
        for line in tables(results, self.width, self.reporter.hasmarkup):
            self.reporter.write_line(line)
        for line in lines_by_kind(results.skipped, self.state.suite.models):
            self.say(f"not run: {line}")
        for notice in [*self.state.session.store.notices, *self.state.session.store.problems()]:
            self.say(f"store: {notice}")
        if self.state.folder:
            self.reporter.write_line(printable(f"report: {self.state.folder / 'report.html'}"))
        for line in self.state.handed_on:
            self.say(line)

    def nothing_selected(self) -> str:
        """The reason why no case of the suite ran, and the possible markers."""
        expression = self.config.option.markexpr
        by = f" by -m {expression}" if expression else ""
        has = ", ".join(f"{mark} ({count})" for mark, count in self.state.markers().items())
        hint = f"Its pairs by marker: {has}." if has else "Its models are in no pair. Run it without -m."
        return f"Nothing of the suite {self.state.suite.name} was selected{by}. {hint}"


def announcement(state: State) -> str:
    """The models, the number of prompts, and an estimate of the time."""
    names, prompts = state.runnable, len(state.plan.examples)
    others = len(state.asked()) - len(names)
    missing = f" {counted(others, 'model')} cannot run here." if others else ""
    if not names:
        return f"No model of these {len(state.asked())} can run here. Published figures are judged."
    stored = answered(state)
    asked = [name for name in names if stored.get(name, 0) < prompts]
    entries = [state.suite.models[name] for name in asked]
    time = (
        f"This may take about {in_words(rough_seconds(entries, prompts))}."
        if asked
        else "Their answers are in the store, so this takes seconds."
    )
    return (
        f"{counted(len(names), 'model')}, {counted(prompts, 'prompt')} each "
        f"({len(names) * prompts:,} in all): {', '.join(names)}. {time}{missing}"
    )


def answered(state: State) -> dict[str, int]:
    """The number of the run's answers in the store, by name of a model."""
    if state.options.in_memory or not Path(state.options.store).is_file():
        return {}
    with suppress(OSError, ValueError), Store(state.options.store, readonly=True) as store:
        return kept_for(store, state.plan)
    return {}


def counter(path: str) -> Callable[[], Mapping[str, int]]:
    """A function that counts the answers added to the store from now on. Call it in one other thread."""
    opened: list[tuple[Store, int]] = []
    start = last_number(Store(path)) if Path(path).is_file() else 0

    def counts() -> Mapping[str, int]:
        with suppress(OSError, ValueError):  # the process that writes to it reports the error
            if not opened and Path(path).is_file():
                opened.append((Store(path, readonly=True), start))
            return added_since(*opened[0]) if opened else {}
        return {}

    return counts


def stopped(state: State) -> str:
    """The message for a run that the user ended: the kept answers, and how to continue."""
    if state.options.in_memory:
        return "Stopped. No answer is kept: --boxes-store is off."
    kept = kept_of(state.session.store, state.run_id)
    return (
        f"Stopped. {kept:,} answers of this run are kept in {state.options.store}. "
        "Run the same command again to continue."
    )


def tables(results: Results, width: int, colour: bool) -> list[str]:
    """Two tables as lines: accuracies by number of operations, and the finding of each pair."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    out = StringIO()
    console = Console(file=out, width=width, force_terminal=colour, highlight=False, emoji=False)
    console.no_color = not colour
    if results.evaluations:
        buckets = [bucket for bucket in BUCKETS if bucket in results.baseline]
        shown = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), title_justify="left")
        shown.add_column("right (%)", overflow="fold")
        for bucket in buckets:
            shown.add_column(bucket.removeprefix("ops").replace("plus", "+"), justify="right", no_wrap=True)
        for name, found in results.accuracies.items():
            shown.add_row(name, *(f"{100 * found[b].value:.1f}" if b in found else "" for b in buckets))
        shown.add_row("random guessing", *(f"{100 * results.baseline[b]:.1f}" for b in buckets), style="dim")
        counts = next(iter(results.accuracies.values()))
        shown.add_row("n", *(str(counts[b].n) if b in counts else "" for b in buckets), style="dim")
        console.print(shown)
    tested = [verdict for verdict in results.verdicts if verdict.comparison.bucket == "ops1plus"]
    if tested:
        findings = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
        for heading in ("hypothesis", "pair, at 1+", "finding"):
            findings.add_column(heading, overflow="fold")
        findings.add_column("gain [95%]", justify="right", no_wrap=True)
        for verdict in tested:
            findings.add_row(*finding_of(verdict), style=style_of(verdict))
        console.print(findings)
    return [line.rstrip() for line in out.getvalue().splitlines() if line.strip()]


def style_of(verdict: Verdict) -> str:
    """The colour of a verdict. For a control it shows whether the result is as expected."""
    if verdict.comparison.pair.control:
        return CONTROL_STYLES.get(verdict.case, "")
    return STYLES.get(verdict.outcome, "")


def finding_of(verdict: Verdict) -> tuple[str, str, str, str]:
    found = verdict.comparison
    gain, control = found.difference, found.pair.control
    return (
        f"{control} control" if control else found.pair.hypothesis,
        f"{found.pair.base} → {found.pair.variant}",
        f"{verdict.outcome}: {CONTROL_CASES[verdict.case]}" if control else verdict.outcome,
        f"{100 * gain.value:+.1f} [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}]",
    )


def lines_by_kind(skipped: Mapping[str, str], entries: Mapping[str, ModelEntry]) -> list[str]:
    """One line per kind of reason, with its models."""
    kinds: dict[str, list[str]] = {}
    for name, reason in skipped.items():
        path = entries[name].path if name in entries else name
        kinds.setdefault(reason.replace(path, "MODEL"), []).append(name)
    return [
        f"{', '.join(names[:SHOWN])}{f' and {len(names) - SHOWN} more' if len(names) > SHOWN else ''}: {kind}"
        for kind, names in kinds.items()
    ]


def show_models(state: State, write_line: Callable[[str], object]) -> None:
    """Show the preview of every model that this machine can run, without its weights."""
    entries = state.suite.models
    for name in [*models_of(state.suite.pairs), *state.singles]:
        try:
            said = preview(entries[name], state.plan, entries.values())
        except (OSError, ValueError) as error:  # from a server; files were checked before
            said = printable(str(error))
        write_line(f"{name}: {said}")
