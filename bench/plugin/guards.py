"""Guards against failures of a run: an exception becomes one line, and cases that xdist lost are found.

--boxes-debug shows an exception's traceback. A worker loses cases if it fails while it sends a report, or if
it dies when no restart is left. Without the guard the exit status would be 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from traceback import walk_tb

import pytest

from bench import CASES
from bench.inputs import MISTAKE, explain
from bench.text import printable

ROOM = Path(__file__).parents[1]
SHOWN = 20
COMPLETE = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERNAL_ERROR)


def pytest_addoption(parser: pytest.Parser) -> None:
    add = parser.getgroup("boxes").addoption
    add("--boxes-debug", action="store_true", help="show the traceback of a one-line error")


class Contradicted(AssertionError):
    """A case's hypothesis does not hold. The text is the finding with its figures."""


@contextmanager
def boundary(config: pytest.Config) -> Iterator[None]:
    """End the run with one line if our code raises: a usage error of pytest, or an exit with status 3."""
    try:
        yield
    except (pytest.UsageError, pytest.exit.Exception, pytest.Session.Failed):
        raise  # pytest itself shows these in one line
    except Exception as error:
        if config.getoption("boxes_debug") or not passes_through_bench(error):
            raise
        line, status = explain(error)
        if status == MISTAKE and not isinstance(error, OSError):
            raise pytest.UsageError(line) from None
        pytest.exit(line, returncode=status)


def passes_through_bench(error: BaseException) -> bool:
    files = [Path(frame.f_code.co_filename) for frame, _ in walk_tb(error.__traceback__)]
    return any(ROOM in file.parents and file != Path(__file__) for file in files)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection(session: pytest.Session):
    with boundary(session.config):
        return (yield)


pytest_runtestloop = pytest_collection


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session):
    """Guards the hook that writes the report. pytest itself would print a traceback of its errors."""
    try:
        with boundary(session.config):
            return (yield)
    except pytest.UsageError as error:
        pytest.exit(str(error), returncode=MISTAKE)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo):
    """A case with a finding or an error reports one line. The suite's own tests keep their tracebacks."""
    report = yield
    error = call.excinfo.value if call.excinfo else None
    if report.failed and isinstance(error, Contradicted):
        report.longrepr = str(error)
    ours = CASES in item.path.parents and not item.config.getoption("boxes_debug")
    finding = isinstance(error, AssertionError | pytest.fail.Exception)
    if report.failed and ours and isinstance(error, Exception) and not finding:
        report.longrepr = explain(error)[0]
    return report


class Completeness:
    """Plugin for the main process: every collected case must report its end or a crash.

    armed: whether this is a run of our cases. Other runs are not checked.
    """

    def __init__(self, armed: bool = True) -> None:
        self.armed = armed
        self.collected: dict[str, None] = {}
        self.reported: set[str] = set()
        self.lost: list[str] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.collected.update((item.nodeid, None) for item in session.items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: object, ids: Sequence[str]) -> None:
        self.collected.update((node_id, None) for node_id in ids)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when not in ("setup", "call"):  # "teardown", or "???" for the case of a crashed worker
            self.reported.add(report.nodeid)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail the run, unless the user ended it (Ctrl-C, -x, --maxfail)."""
        if not self.armed or session.shouldfail or session.exitstatus not in COMPLETE:
            return
        self.lost = [node_id for node_id in self.collected if node_id not in self.reported]
        if self.lost and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        if session.exitstatus == pytest.ExitCode.INTERNAL_ERROR:  # pytest then omits its summary
            self.pytest_terminal_summary(session.config.pluginmanager.getplugin("terminalreporter"))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.lost:
            terminalreporter.section("cases lost", red=True, bold=True)
            terminalreporter.write_line(f"{len(self.lost)} collected cases never reported. Run again:")
            for node_id in self.lost[:SHOWN]:
                terminalreporter.write_line(printable(f"  {node_id}"))
            if len(self.lost) > SHOWN:
                terminalreporter.write_line(f"  and {len(self.lost) - SHOWN} more")
