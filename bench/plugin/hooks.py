"""The pytest plugin: options, one case a pair and bucket, and the report when the last has run."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import pytest

from bench import models
from bench.inputs import place
from bench.models.gpus import visible_gpus
from bench.models.suites import load_suite
from bench.plugin import cases, nights
from bench.plugin.completeness import Completeness
from bench.records import BUCKETS, Accuracy, ModelEntry, Pair, Results, Verdict
from bench.report.files import check_place, write
from bench.report.tables import accuracy_table, skip_lines, verdict_lines
from bench.report.tabular import markdown
from bench.run import options
from bench.run.evaluate import Plan, audit, unavailable
from bench.run.metadata import describe_run, new_run_id
from bench.run.progress import Progress
from bench.run.session import Session
from bench.scoring.verdicts import families, judge_recorded
from bench.store import Store
from bench.text import printable

STATE = pytest.StashKey["State"]()
SKIPPED, FAILED = "boxes_skipped", "boxes_failed"  # user properties: JSON of [model or pair, reason]
PRINTED = ("help", "markers", "version", "cacheshow")  # pytest's options that collect no case
LOOKED_AT = ("collectonly", "showfixtures", "show_fixtures_per_test", "setupplan")  # collect, and run no case
FIXTURES = ("verdict", "published", "over_random", "agreement")  # of a case, one value a case


def pytest_addoption(parser: pytest.Parser) -> None:
    add = parser.getgroup("boxes", "entity tracking with the boxes task").addoption
    options.add_options(add)
    nights.add_options(add)


class State:
    """What the plugin knows in one process. In a worker of xdist it runs cases; the controller reports."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.suites = [load_suite(name) for name in config.getoption("boxes_suite").split(",")]
        if config.getoption("boxes_metric") != "generation":  # what suites record was generated
            self.suites = [replace(suite, recorded={}, recorded_baseline={}) for suite in self.suites]
        self.suite = options.choose_models(
            options.override(options.merge(self.suites), config.getoption("boxes_model_args")),
            config.getoption("boxes_models"),
        )
        self.buckets = [
            options.choose("bucket", name, BUCKETS) for name in config.getoption("boxes_buckets").split(",")
        ]
        self.cases = {
            f"{pair.id}-{bucket}": (pair, bucket) for pair in self.suite.pairs for bucket in self.buckets
        }
        self.whole = {suite.name for suite in self.suites if not config.getoption("boxes_models")}
        self.offered = False  # whether a test was collected that the suite makes cases for
        self.model_ids = {f"{name}-{bucket}" for name in self.suite.models for bucket in self.buckets}
        self.num_cases = 1
        self.ran: set[Pair] = set()
        self.skipped: dict[str, str] = {}
        self.failed: dict[str, str] = {}
        self.results: Results | None = None
        self.folder: Path | None = None
        self.nights: nights.Nights | None = None

    @cached_property
    def session(self) -> Session:
        get = self.config.getoption
        in_memory = get("boxes_store") in options.IN_MEMORY
        store = Store(":memory:" if in_memory else get("boxes_store"))
        shared = self.models(self.ran_pairs()) if is_worker(self.config) and not in_memory else ()
        return Session(
            self.suite,
            self.plan,
            store,
            get("boxes_wait"),
            shared,
            cases=self.num_cases,
        )

    @cached_property
    def plan(self) -> Plan:
        """Read when it is first needed: generating the data takes a second."""
        return replace(
            options.plan(self.config.getoption), run_id=self.run_id, progress=not is_worker(self.config)
        )

    @cached_property
    def baseline(self) -> dict[str, float]:
        """Random guessing on this run's data, by bucket."""
        return self.plan.baseline

    @cached_property
    def run_id(self) -> str:
        """The controller's, in all its workers."""
        if is_worker(self.config):
            return vars(self.config)["workerinput"]["boxes_run_id"]
        return new_run_id()

    @cached_property
    def recorded(self) -> dict[tuple[Pair, str], Verdict]:
        """The verdicts of the figures that the suites record."""
        verdicts = [
            entry for suite in self.suites if suite.recorded for entry in judge_recorded(suite, self.baseline)
        ]
        return {(entry.comparison.pair, entry.comparison.bucket): entry for entry in verdicts}

    def recorded_accuracy(self, name: str, bucket: str) -> tuple[Accuracy, float] | None:
        """A model's recorded accuracy and random guessing beside it."""
        for suite in self.suites:
            baseline = suite.recorded_baseline or self.baseline
            if bucket in suite.recorded.get(name, {}) and bucket in baseline:
                return suite.recorded[name][bucket], baseline[bucket]
        return None

    @property
    def published(self) -> dict[str, Mapping[str, Accuracy]]:
        """Somebody's published figures, by model and bucket."""
        suites = [suite for suite in self.suites if suite.recorded_baseline]
        return {name: found for suite in suites for name, found in suite.recorded.items()}

    def is_published(self, pair: Pair) -> bool:
        """Whether the recorded figures of a pair are somebody's published ones, with their own baseline."""
        return any(suite.recorded_baseline and pair in suite.pairs for suite in self.suites)

    def family(self, pair: Pair) -> list[Pair]:
        """The pairs of this run whose main tests are adjusted together with this one's."""
        return next(family for family in families(self.ran_pairs()) if pair in family)

    def models(self, pairs: Iterable[Pair] | None = None) -> list[str]:
        """The models of these pairs, or of all, each base before its variants."""
        pairs = self.suite.pairs if pairs is None else pairs
        return list(dict.fromkeys(name for pair in pairs for name in (pair.base, pair.variant)))

    def ran_pairs(self) -> list[Pair]:
        return [pair for pair in self.suite.pairs if pair in self.ran]

    def nothing_selected(self) -> str:
        """Why no case of the suite ran, and what can be chosen."""
        option = self.config.option
        by = f" by -m {option.markexpr}" if option.markexpr else ""
        pairs = Counter(mark for pair in self.suite.pairs for mark in cases.markers_of(pair))
        has = ", ".join(f"{mark} ({count})" for mark, count in sorted(pairs.items()))
        hint = f"Its pairs by marker: {has}." if has else "It has no pair here: add a [[pairs]] entry."
        return f"Nothing of the suite {self.suite.name} was selected{by}. {hint}"

    def note(self, node_ids: Iterable[str]) -> None:
        """Remember the pairs whose cases are to run."""
        found = [match[1] for node_id in node_ids if (match := re.search(r"\[(.*)\]$", node_id))]
        self.ran |= {self.cases[case_id][0] for case_id in found if case_id in self.cases}
        self.num_cases = max(1, sum(case_id in self.cases or case_id in self.model_ids for case_id in found))
        if self.ran and not (is_worker(self.config) or looks_only(self.config)):
            try:
                options.check_places(self.suite, self.ran_pairs(), self.config.getoption)
            except ValueError as error:
                raise pytest.UsageError(printable(str(error))) from None

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self):
        """Show in the controller's terminal how far the workers are."""
        store = self.config.getoption("boxes_store")
        has_workers = self.config.getoption("numprocesses", None) and not is_worker(self.config)
        if not has_workers or store in options.IN_MEMORY:
            return (yield)
        write_line = self.config.pluginmanager.getplugin("terminalreporter").write_line
        with Progress(store, lambda line: write_line(printable(line))):
            return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Why a model did not run, as a case tells it, in this process or in a worker's."""
        for kind, told in ((SKIPPED, self.skipped), (FAILED, self.failed)):
            told.update(json.loads(str(value)) for name, value in report.user_properties if name == kind)

    def print_audits(self) -> None:
        """How every model that this machine can run would be asked, without its weights."""
        terminal = self.config.pluginmanager.getplugin("terminalreporter")
        for name in self.models():
            try:
                said = self.preview(self.suite.models[name])
            except (OSError, ValueError) as error:  # of a server; what is wrong with files is known before
                said = printable(str(error))
            terminal.write_line(f"{name}: {said}")

    def preview(self, entry: ModelEntry) -> str:
        """How a model would be asked, or why it cannot be."""
        if reason := unavailable(entry, self.plan, self.suite.models.values()):
            return reason
        if self.plan.engine == "server" and not models.has_tokenizer(entry):
            return "is served, and would be given plain text: its tokenizer is not here"
        pinned = "" if entry.pinned else "\n  not pinned: run python -m bench pin SUITE"
        return f"{pinned}\n{audit(entry, self.plan, models.load_tokenizer(entry))}"

    def describe(self) -> dict[str, object]:
        return describe_run(self.suite, self.plan)

    def find_results(self) -> Results:
        self.session.skipped |= self.skipped  # a worker's, so that families are the same in the report
        found = self.session.results(families(self.ran_pairs()), self.describe())
        return replace(found, skipped={**found.skipped, **self.failed}, published=self.published)

    def report(self, session: pytest.Session) -> None:
        """Compare with the baseline if asked to, and write every format of the report."""
        self.results = self.find_results()
        asked = self.models(self.ran_pairs())
        regression = self.nights.finish(session, self.results, asked) if self.nights else None
        if self.results.evaluations:
            released = self.plan.dataset.startswith("release:")
            shown = not released or self.config.getoption("boxes_released_examples")
            ran = {pair.hypothesis for pair in self.ran}
            self.folder = write(
                self.results,
                Path(self.config.getoption("boxes_report_dir")) / self.run_id,
                self.suite,
                examples=self.plan.examples if shown else (),
                recorded=[entry for (pair, _), entry in self.recorded.items() if pair.hypothesis in ran],
                regression=regression,
            )


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """A command that only looks needs no workers, and xdist ends some of them with an internal error."""
    if looks_only(config) and hasattr(config.option, "numprocesses"):
        config.option.numprocesses, config.option.dist, config.option.tx = 0, "no", []


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Check every option before anything runs: a user's mistake is one line and exit status 4."""
    if is_worker(config):
        share_cores(vars(config)["workerinput"]["workercount"])
    config.addinivalue_line("markers", "suite(name): runs where that suite is asked for as a whole")
    if any(config.getoption(name, False) for name in PRINTED):
        return
    try:
        options.check(config.getoption)
        config.stash[STATE] = state = State(config)
        if looks_only(config):
            config.pluginmanager.register(state, "boxes-state")
            return
        check_place(place(config.getoption("boxes_report_dir")))
        if config.getoption("boxes_dataset") != "evaluation" or config.getoption("boxes_limit") is not None:
            _ = state.plan  # a data set that cannot be read is known now
        config.pluginmanager.register(state, "boxes-state")
        if not is_worker(config) and not config.getoption("boxes_dry_run"):
            config.pluginmanager.register(Completeness(), "boxes-completeness")
            state.nights = nights.Nights(config, state.describe)
            config.pluginmanager.register(state.nights, "boxes-nights")
    except ValueError as error:
        raise pytest.UsageError(printable(str(error))) from None


def is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def looks_only(config: pytest.Config) -> bool:
    """Whether this command shows something and runs no case."""
    return any(config.getoption(name, False) for name in (*PRINTED, *LOOKED_AT))


def share_cores(workers: int) -> None:
    """Give a worker its part of the cores, before torch is imported, unless the user has said how many."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores // workers)))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A case for every pair (`verdict`, `published`) or model (the others) and every bucket."""
    state = metafunc.config.stash[STATE]
    for name in FIXTURES:
        if name in metafunc.fixturenames:
            state.offered = True
            found = cases.of_fixture(state, name, metafunc.definition) or [cases.NO_CASE]
            metafunc.parametrize(name, found, indirect=name != "published")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Only cases that the suite has. The tests of the pairs come last: they need all pairs of a family."""
    state = config.stash[STATE]
    found = [item for item in items if not cases.is_placeholder(item, FIXTURES)]
    items[:] = [
        item for item in found if {mark.args[0] for mark in item.iter_markers("suite")} <= state.whole
    ]
    if others := [item for item in found if item not in items]:
        config.hook.pytest_deselected(items=others)
    items.sort(key=lambda item: item.name.endswith("-ops1plus]"))


def pytest_collection_finish(session: pytest.Session) -> None:
    session.config.stash[STATE].note(item.nodeid for item in session.items)


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """-n auto is a worker for each lease of GPUs; without GPUs, what xdist takes."""
    return len(visible_gpus()) // config.getoption("boxes_gpus_per_worker") or None


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node) -> None:
    node.workerinput["boxes_run_id"] = node.config.stash[STATE].run_id


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node, ids: list[str]) -> None:
    node.config.stash[STATE].note(ids)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """A dry run shows how each model would be asked, and runs nothing."""
    if not session.config.getoption("boxes_dry_run"):
        return None
    session.config.stash[STATE].print_audits()
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo):
    report = yield
    if call.excinfo is not None and call.excinfo.errisinstance(cases.Contradicted) and report.failed:
        report.longrepr = str(call.excinfo.value)  # the finding, not the code that found it
    return report


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the report, once, where the terminal is."""
    config, state = session.config, session.config.stash.get(STATE, None)
    if state is None or looks_only(config) or config.getoption("boxes_dry_run"):
        return
    if is_worker(config):
        vars(config)["workeroutput"]["boxes_offered"] = state.offered
    elif state.ran and session.exitstatus != pytest.ExitCode.USAGE_ERROR:
        state.report(session)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node) -> None:
    node.config.stash[STATE].offered |= getattr(node, "workeroutput", {}).get("boxes_offered", False)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config
) -> None:
    state = config.stash.get(STATE, None)
    if state and state.offered and exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
        terminalreporter.write_line(state.nothing_selected(), red=True)
    if state is None or state.results is None:
        return
    terminalreporter.section("entity tracking")
    terminalreporter.write_line(markdown(accuracy_table(state.results.accuracies, state.results.baseline)))
    for line in verdict_lines(state.results.verdicts):
        terminalreporter.write_line(line)
    for line in skip_lines(state.results.skipped):
        terminalreporter.write_line(f"- not run: {line}")
    for notice in [*state.session.store.notices, *state.session.store.problems()]:
        terminalreporter.write_line(printable(f"- store: {notice}"))
    if state.folder:
        terminalreporter.write_line(printable(f"report: {state.folder / 'report.html'}"))
