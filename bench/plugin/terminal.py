"""State -> the terminal: what will run, how far it is, what came of it. The report is written on the way."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext

import pytest

from bench import models
from bench.plugin.state import State
from bench.records import ModelEntry, Results
from bench.report.tables import accuracy_table, skip_lines, verdict_lines
from bench.report.tabular import markdown
from bench.run.evaluate import audit, unavailable
from bench.run.plans import models_of
from bench.run.power import warning
from bench.run.progress import Progress
from bench.scoring.verdicts import families
from bench.text import printable

SKIPPED, FAILED = "boxes_skipped", "boxes_failed"  # user properties: JSON of [model or pair, reason]


class Terminal:
    """Plugin of the process that has the terminal, from the first case of ours on."""

    def __init__(self, config: pytest.Config, state: State) -> None:
        self.config, self.state = config, state

    @property
    def reporter(self) -> pytest.TerminalReporter:
        return self.config.pluginmanager.getplugin("terminalreporter")

    def say(self, text: str, **style: bool) -> None:
        self.reporter.write_line(printable(text), **style)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self):
        """Say what a run with a limit can show, and how far the workers are."""
        if self.state.options.limit is not None and self.state.ran:
            pairs = max(map(len, families(self.state.ran_pairs())))
            self.say(warning(self.state.plan.examples, pairs))
        has_workers = self.config.getoption("numprocesses", None)
        shown = has_workers and not self.state.options.in_memory
        with Progress(self.state.options.store, self.say) if shown else nullcontext():
            return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Why a model did not run, as a case tells it, in this process or in a worker's."""
        for kind, told in ((SKIPPED, self.state.skipped), (FAILED, self.state.failed)):
            told.update(json.loads(str(value)) for name, value in report.user_properties if name == kind)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the report, once."""
        if self.state.ran and session.exitstatus != pytest.ExitCode.USAGE_ERROR:
            session.exitstatus = self.state.finish(session.exitstatus)

    def pytest_terminal_summary(self, exitstatus: int) -> None:
        if self.state.offered and exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
            self.say(self.nothing_selected(), red=True)
        if self.state.results is not None:
            self.show_results(self.state.results)
            self.state.nights.show(self.reporter)

    def show_results(self, results: Results) -> None:
        self.reporter.section("entity tracking")
        self.reporter.write_line(markdown(accuracy_table(results.accuracies, results.baseline)))
        for line in verdict_lines(results.verdicts):
            self.reporter.write_line(line)
        for line in skip_lines(results.skipped):
            self.reporter.write_line(f"- not run: {line}")
        for notice in [*self.state.session.store.notices, *self.state.session.store.problems()]:
            self.say(f"- store: {notice}")
        if self.state.folder:
            self.say(f"report: {self.state.folder / 'report.html'}")

    def nothing_selected(self) -> str:
        """Why no case of the suite ran, and what can be chosen."""
        expression = self.config.option.markexpr
        by = f" by -m {expression}" if expression else ""
        has = ", ".join(f"{mark} ({count})" for mark, count in self.state.markers().items())
        hint = f"Its pairs by marker: {has}." if has else "It has no pair here: add a [[pairs]] entry."
        return f"Nothing of the suite {self.state.suite.name} was selected{by}. {hint}"


def show_models(state: State, write_line: Callable[[str], object]) -> None:
    """How every model that this machine can run would be asked, without its weights."""
    for name in models_of(state.suite.pairs):
        try:
            said = preview(state, state.suite.models[name])
        except (OSError, ValueError) as error:  # of a server; what is wrong with files is known before
            said = printable(str(error))
        write_line(f"{name}: {said}")


def preview(state: State, entry: ModelEntry) -> str:
    """How a model would be asked, or why it cannot be."""
    if reason := unavailable(entry, state.plan, state.suite.models.values()):
        return reason
    if state.plan.engine == "server" and not models.has_tokenizer(entry):
        return "is served, and would be given plain text: its tokenizer is not here"
    pinned = "" if entry.pinned else "\n  not pinned: run python -m bench pin SUITE"
    return f"{pinned}\n{audit(entry, state.plan, models.load_tokenizer(entry))}"
