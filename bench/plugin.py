"""The pytest plugin: options, one case a pair and bucket, and the report when the last has run."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from pathlib import Path

import pytest
from _pytest.mark.structures import ParameterSet

from bench import ROOT, models, options
from bench.completeness import Completeness
from bench.evaluate import audit
from bench.hypotheses import fails, families, judge_recorded
from bench.metadata import describe_run
from bench.progress import Progress
from bench.prompts import PROTOCOLS
from bench.records import BUCKETS, Accuracy, Outcome, Pair, Results, Verdict
from bench.report.files import write
from bench.report.tables import accuracy_table, skip_lines, verdict_lines
from bench.session import Session
from bench.store import Store
from bench.suites import load_suite

HYPOTHESES = ("code", "math", "alignment")
STATE = pytest.StashKey["State"]()
IN_MEMORY = (":memory:", "off")
REASON = "boxes_not_run"  # user property: JSON of [model, reason]


class Contradicted(AssertionError):
    """A case's hypothesis does not hold; the text is the finding, in one sentence with its figures."""


def pytest_addoption(parser: pytest.Parser) -> None:
    add = parser.getgroup("boxes", "entity tracking with the boxes task").addoption
    add("--boxes-suite", default="embedded", metavar="NAME|FILE", help="models and pairs (default: %(default)s)")
    add("--boxes-models", default="", metavar="NAME,...", help="only pairs of these models (default: all)")
    add("--boxes-model-args", default="", metavar="FIELD=VALUE,...", help="for every model, as dtype=bfloat16")
    add("--boxes-buckets", default=",".join(BUCKETS), metavar="NAME,...", help="default: %(default)s")
    add(
        "--boxes-dataset",
        default="evaluation",
        metavar="SET",
        help="evaluation (716 examples), full (all states), or release:PATH.zip (default: %(default)s)",
    )
    add("--boxes-dataset-password", metavar="WORD", help="of the ZIP; safer in $BOXES_DATASET_PASSWORD")
    add("--boxes-seed", type=int, default=0, metavar="N", help="of generated data (default: %(default)s)")
    add("--boxes-version", default="base", metavar="NAME", help="version of the task (default: %(default)s)")
    add("--boxes-limit", type=int, metavar="N", help="ask N examples, evenly spread (default: all)")
    add("--boxes-protocol", default="paper", metavar="NAME", help=f"{' or '.join(PROTOCOLS)} (default: %(default)s)")
    add("--boxes-engine", default="auto", metavar="NAME", help="auto, speculative or reference (default: %(default)s)")
    add("--boxes-batch-size", default="auto", metavar="auto|N", help="prompts a batch (default: %(default)s)")
    add("--boxes-pack-tokens", default="auto", metavar="auto|N", help="tokens a pack, speculative engine (default: %(default)s)")
    add("--boxes-gpus-per-worker", type=int, default=1, metavar="N", help="GPUs a model (default: %(default)s)")
    add("--boxes-wait", type=float, default=86400.0, metavar="SECONDS", help="for a model in evaluation elsewhere (default: %(default)s)")
    add("--boxes-store", default=str(ROOT / ".boxes" / "store.sqlite"), metavar="PATH|:memory:|off", help="default: .boxes/store.sqlite")
    add("--boxes-dry-run", action="store_true", help="show how each model would be asked, and run nothing")
    add("--boxes-report-dir", default=str(ROOT / "reports"), metavar="DIR", help="default: reports")


class State:
    """What the plugin knows in one process. In a worker of xdist it runs cases; the controller reports."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.suites = [load_suite(name) for name in config.getoption("boxes_suite").split(",")]
        self.suite = options.choose_models(
            options.override(options.merge(self.suites), config.getoption("boxes_model_args")),
            config.getoption("boxes_models"),
        )
        self.buckets = [options.choose("bucket", name, BUCKETS) for name in config.getoption("boxes_buckets").split(",")]
        self.cases = {f"{pair.id}-{bucket}": (pair, bucket) for pair in self.suite.pairs for bucket in self.buckets}
        self.ran: set[Pair] = set()
        self.not_run: dict[str, str] = {}
        self.results: Results | None = None
        self.folder: Path | None = None

    @cached_property
    def session(self) -> Session:
        get = self.config.getoption
        path = ":memory:" if get("boxes_store") in IN_MEMORY else get("boxes_store")
        plan = replace(options.plan(get), run_id=self.run_id, progress=not is_worker(self.config))
        return Session(self.suite, plan, Store(path), get("boxes_wait"))

    @cached_property
    def run_id(self) -> str:
        """The controller's, in all its workers."""
        if is_worker(self.config):
            return self.config.workerinput["boxes_run_id"]
        return f"{datetime.now():%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:6]}"

    @cached_property
    def recorded(self) -> dict[tuple[Pair, str], Verdict]:
        """The verdicts of the figures that the suites record."""
        verdicts = [
            entry for suite in self.suites if suite.recorded for entry in judge_recorded(suite, self.session.baseline)
        ]
        return {(entry.comparison.pair, entry.comparison.bucket): entry for entry in verdicts}

    def recorded_accuracy(self, name: str, bucket: str) -> tuple[Accuracy, float] | None:
        """A model's recorded accuracy and random guessing beside it."""
        for suite in self.suites:
            if bucket in suite.recorded.get(name, {}):
                return suite.recorded[name][bucket], (suite.recorded_baseline or self.session.baseline)[bucket]
        return None

    def is_published(self, pair: Pair) -> bool:
        """Whether the recorded figures of a pair are somebody's published ones, with their own baseline."""
        return any(suite.recorded_baseline and pair in suite.pairs for suite in self.suites)

    def family(self, pair: Pair) -> list[Pair]:
        """The pairs of this run whose main tests are adjusted together with this one's."""
        return next(family for family in families(self.ran_pairs()) if pair in family)

    def ran_pairs(self) -> list[Pair]:
        return [pair for pair in self.suite.pairs if pair in self.ran]

    def note(self, node_ids: Iterable[str]) -> None:
        """Remember the pairs whose cases are to run."""
        found = (re.search(r"\[(.*)\]$", node_id) for node_id in node_ids)
        self.ran |= {self.cases[match[1]][0] for match in found if match and match[1] in self.cases}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self):
        """Show in the controller's terminal how far the workers are."""
        store = self.config.getoption("boxes_store")
        if is_worker(self.config) or not self.config.getoption("numprocesses", None) or store in IN_MEMORY:
            return (yield)
        with Progress(store, self.config.pluginmanager.getplugin("terminalreporter").write_line):
            return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Why a model did not run, as a case tells it, in this process or in a worker's."""
        self.not_run.update(json.loads(value) for name, value in report.user_properties if name == REASON)

    def print_audits(self) -> None:
        """How every model that this machine can run would be asked, without its weights."""
        terminal = self.config.pluginmanager.getplugin("terminalreporter")
        for name in dict.fromkeys(name for pair in self.suite.pairs for name in (pair.base, pair.variant)):
            entry = self.suite.models[name]
            reason = models.unavailable(entry, self.session.plan.gpus_per_model)
            terminal.write_line(f"{name}: {reason}" if reason else f"{name}:\n{audit(entry, self.session.plan)}")

    def find_results(self) -> Results:
        found = self.session.results(families(self.ran_pairs()), describe_run(self.suite, self.session.plan))
        return replace(found, skipped={**found.skipped, **self.not_run})


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Check every option before anything runs: a user's mistake is one line and exit status 4."""
    try:
        options.check(config.getoption)
        config.stash[STATE] = State(config)
        config.pluginmanager.register(config.stash[STATE], "boxes-state")
        if not is_worker(config) and not config.getoption("boxes_dry_run"):
            config.pluginmanager.register(Completeness(), "boxes-completeness")
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None


def is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A case for every pair (`verdict`, `published`) or model (`over_random`) and every bucket."""
    state = metafunc.config.stash[STATE]
    if "verdict" in metafunc.fixturenames:
        metafunc.parametrize("verdict", pair_cases(state, metafunc.definition), indirect=True)
    if "published" in metafunc.fixturenames:
        metafunc.parametrize("published", published_cases(state, metafunc.definition))
    if "over_random" in metafunc.fixturenames:
        metafunc.parametrize("over_random", model_cases(state), indirect=True)


def pair_cases(state: State, test: pytest.Item) -> list[ParameterSet]:
    marks = {mark.name for mark in test.iter_markers()}
    return [
        pytest.param((pair, bucket), id=case_id, marks=xfail_as_recorded(state.recorded.get((pair, bucket))))
        for case_id, (pair, bucket) in state.cases.items()
        if ("control" in marks) == bool(pair.control) and (pair.control or f"{pair.hypothesis}_hypothesis" in marks)
    ]


def published_cases(state: State, test: pytest.Item) -> list[ParameterSet]:
    marks = {mark.name for mark in test.iter_markers()}
    return [
        pytest.param(verdict, id=f"published-{pair.id}-{bucket}")
        for (pair, bucket), verdict in state.recorded.items()
        if f"{pair.hypothesis}_hypothesis" in marks and bucket in state.buckets and state.is_published(pair)
    ]


def model_cases(state: State) -> list[ParameterSet]:
    """Every model of a pair, under the markers of the hypotheses that it takes part in."""
    marks: dict[str, set[str]] = {}
    for pair in state.suite.pairs:
        for name in (pair.base, pair.variant):
            marks.setdefault(name, set()).update(markers_of(pair))
    return [
        pytest.param(
            (name, bucket),
            id=f"{name}-{bucket}",
            marks=[*(getattr(pytest.mark, mark) for mark in sorted(marks[name])), *recorded_below(state, name, bucket)],
        )
        for name in marks
        for bucket in state.buckets
    ]
def markers_of(pair: Pair) -> list[str]:
    """A control is there for every hypothesis."""
    return ["control", *(f"{name}_hypothesis" for name in HYPOTHESES)] if pair.control else [f"{pair.hypothesis}_hypothesis"]


def xfail_as_recorded(verdict: Verdict | None) -> list[pytest.MarkDecorator]:
    """xfail where the recorded figures fail the case too: XPASS is then a departure."""
    if verdict is None or not fails(verdict):
        return []
    return [pytest.mark.xfail(raises=Contradicted, reason=f"as recorded: {verdict.sentence}")]


def recorded_below(state: State, name: str, bucket: str) -> list[pytest.MarkDecorator]:
    """xfail where the recorded accuracy of a model is below random guessing."""
    observed = state.recorded_accuracy(name, bucket)
    if observed is None or observed[0].value >= observed[1]:
        return []
    reason = f"as recorded: {observed[0].value:.1%} against {observed[1]:.1%} by random guessing"
    return [pytest.mark.xfail(raises=Contradicted, reason=reason)]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Exploratory buckets pair by pair, then the tests of the pairs, which need all pairs of a family."""
    items.sort(key=lambda item: item.name.endswith("-ops1plus]"))


def pytest_collection_finish(session: pytest.Session) -> None:
    session.config.stash[STATE].note(item.nodeid for item in session.items)


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
    if call.excinfo is not None and call.excinfo.errisinstance(Contradicted) and report.failed:
        report.longrepr = str(call.excinfo.value)  # the finding, not the code that found it
    return report


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the report, once, where the terminal is."""
    state = session.config.stash[STATE]
    idle = session.config.option.collectonly or session.config.getoption("boxes_dry_run")
    if state.ran and not is_worker(session.config) and not idle:
        state.results = state.find_results()
        if state.results.evaluations:
            folder = Path(session.config.getoption("boxes_report_dir")) / state.run_id
            state.folder = write(state.results, folder)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    state = config.stash[STATE]
    if state.results is None:
        return
    terminalreporter.section("entity tracking")
    terminalreporter.write_line(accuracy_table(state.results.accuracies, state.results.baseline))
    for line in verdict_lines(state.results.verdicts):
        terminalreporter.write_line(line)
    for line in skip_lines(state.results.skipped):
        terminalreporter.write_line(f"- not run: {line}")
    for notice in [*state.session.store.notices, *state.session.store.problems()]:
        terminalreporter.write_line(f"- store: {notice}")
    if state.folder:
        terminalreporter.write_line(f"\nreport: {state.folder / 'report.md'}")


def require_supported(verdict: Verdict) -> None:
    """Pass if the case's hypothesis is supported; xfail with the figures where that is open; else fail."""
    __tracebackhide__ = True
    if fails(verdict):
        raise Contradicted(verdict.sentence)
    if verdict.outcome != "supported" and verdict.comparison.pair.control != "negative":
        pytest.xfail(verdict.sentence)


def require_published_support(verdict: Verdict) -> None:
    """Pass if published figures support the hypothesis; they are history, so that xfail is the other outcome."""
    if verdict.outcome != "supported":
        pytest.xfail(verdict.sentence)


def require_above_random(outcome: Outcome, sentence: str) -> None:
    """Pass if a model is shown to beat random guessing; xfail where that is open; fail where it is below."""
    __tracebackhide__ = True
    if outcome == "contradicted":
        raise Contradicted(sentence)
    if outcome != "supported":
        pytest.xfail(sentence)
