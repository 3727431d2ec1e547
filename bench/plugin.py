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

from bench import ROOT, options
from bench.hypotheses import adjust_over_pairs, compare_recorded, fails, judge
from bench.metadata import describe_run
from bench.prompts import PROTOCOLS
from bench.records import BUCKETS, Pair, Results, Suite, Verdict
from bench.report.files import write
from bench.report.tables import accuracy_table, verdict_lines
from bench.session import Session
from bench.store import Store
from bench.suites import load_suite

HYPOTHESES = ("code", "math", "alignment")
STATE = pytest.StashKey["State"]()
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
    add("--boxes-report-dir", default=str(ROOT / "reports"), metavar="DIR", help="default: reports")


class State:
    """What the plugin knows in one process. In a worker of xdist it runs cases; the controller reports."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.suite = load_chosen_suite(config)
        self.buckets = [options.choose("bucket", name, BUCKETS) for name in config.getoption("boxes_buckets").split(",")]
        self.cases = {f"{pair.id}-{bucket}": (pair, bucket) for pair in self.suite.pairs for bucket in self.buckets}
        self.ran: set[Pair] = set()
        self.not_run: dict[str, str] = {}
        self.results: Results | None = None
        self.folder: Path | None = None

    @cached_property
    def session(self) -> Session:
        get = self.config.getoption
        path = {"off": ":memory:"}.get(get("boxes_store"), get("boxes_store"))
        plan = replace(options.plan(get), run_id=self.run_id, progress=not is_worker(self.config))
        return Session(self.suite, plan, Store(path), get("boxes_wait"))

    @cached_property
    def run_id(self) -> str:
        """The controller's, in all its workers."""
        if is_worker(self.config):
            return self.config.workerinput["boxes_run_id"]
        return f"{datetime.now():%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:6]}"

    def family(self, pair: Pair) -> list[Pair]:
        """The pairs whose main tests are adjusted together; a control is tested by itself."""
        if pair.control:
            return [pair]
        return [other for other in self.suite.pairs if other in self.ran and same_family(other, pair)]

    def note(self, node_ids: Iterable[str]) -> None:
        """Remember the pairs whose cases are to run."""
        found = (re.search(r"\[(.*)\]$", node_id) for node_id in node_ids)
        self.ran |= {self.cases[match[1]][0] for match in found if match and match[1] in self.cases}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Why a model did not run, as a case tells it, in this process or in a worker's."""
        self.not_run.update(json.loads(value) for name, value in report.user_properties if name == REASON)

    def find_results(self) -> Results:
        families = {tuple(self.family(pair)) for pair in self.suite.pairs if pair in self.ran}
        ordered = sorted(families, key=lambda family: self.suite.pairs.index(family[0]))
        found = self.session.results(ordered, describe_run(self.suite, self.session.plan))
        return replace(found, skipped={**found.skipped, **self.not_run})


def same_family(one: Pair, other: Pair) -> bool:
    return one.hypothesis == other.hypothesis and not one.control and not other.control


def load_chosen_suite(config: pytest.Config) -> Suite:
    suite = options.override(load_suite(config.getoption("boxes_suite")), config.getoption("boxes_model_args"))
    names = [name for name in config.getoption("boxes_models").split(",") if name]
    for name in names:
        options.choose("model", name, suite.models)
    return replace(suite, pairs=tuple(p for p in suite.pairs if not names or {p.base, p.variant} <= set(names)))


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Check every option before anything runs: a user's mistake is one line and exit status 4."""
    try:
        options.check(config.getoption)
        config.stash[STATE] = State(config)
        config.pluginmanager.register(config.stash[STATE], "boxes-state")
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None


def is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes `verdict` has a case for every pair of its hypothesis and every bucket."""
    if "verdict" not in metafunc.fixturenames:
        return
    marks = {mark.name for mark in metafunc.definition.iter_markers()}
    state = metafunc.config.stash[STATE]
    cases = [
        pytest.param((pair, bucket), id=case_id, marks=recorded_marks(state, pair, bucket))
        for case_id, (pair, bucket) in state.cases.items()
        if ("control" in marks) == bool(pair.control) and (pair.control or f"{pair.hypothesis}_hypothesis" in marks)
    ]
    metafunc.parametrize("verdict", cases, indirect=True)


def recorded_marks(state: State, pair: Pair, bucket: str) -> list[pytest.MarkDecorator]:
    """xfail where the figures recorded for the pair fail the case too: XPASS is then a departure."""
    verdict = recorded_verdict(state, pair, bucket)
    if verdict is None or not fails(verdict):
        return []
    return [pytest.mark.xfail(raises=Contradicted, reason=f"as recorded: {verdict.sentence}")]


def recorded_verdict(state: State, pair: Pair, bucket: str) -> Verdict | None:
    """What the suite's recorded figures say about a case, if it has them."""
    recorded = state.suite.recorded
    if pair.base not in recorded or pair.variant not in recorded:
        return None
    found = compare_recorded(pair, recorded[pair.base], recorded[pair.variant], state.session.baseline)
    return next((judge(entry) for entry in found if entry.bucket == bucket), None)


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
    if state.ran and not is_worker(session.config) and not session.config.option.collectonly:
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
    for model, reason in state.results.skipped.items():
        terminalreporter.write_line(f"- not run: {model}: {reason}")
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
