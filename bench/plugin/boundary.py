"""An exception -> one line in the terminal, wherever pytest meets it. --boxes-debug shows its traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench import CASES
from bench.inputs import MISTAKE, explain

ROOM = Path(__file__).parents[1]


def pytest_addoption(parser: pytest.Parser) -> None:
    add = parser.getgroup("boxes").addoption
    add("--boxes-debug", action="store_true", help="show the traceback of an error that is told in one line")


@contextmanager
def boundary(config: pytest.Config) -> Iterator[None]:
    """Ends the run with one line where our code raises: pytest's usage error, or an exit with status 3."""
    try:
        yield
    except (pytest.UsageError, pytest.exit.Exception, pytest.Session.Failed):
        raise  # pytest tells these in one line itself
    except Exception as error:
        if config.getoption("boxes_debug") or not passes_through_bench(error):
            raise
        line, status = explain(error)
        if status == MISTAKE and not isinstance(error, OSError):
            raise pytest.UsageError(line) from None
        pytest.exit(line, returncode=status)


def passes_through_bench(error: BaseException) -> bool:
    at = error.__traceback__
    while at:
        file = Path(at.tb_frame.f_code.co_filename)
        if ROOM in file.parents and file != Path(__file__):
            return True
        at = at.tb_next
    return False


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection(session: pytest.Session):
    with boundary(session.config):
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtestloop(session: pytest.Session):
    with boundary(session.config):
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session):
    """Where the report is written: pytest would end in a traceback here."""
    try:
        with boundary(session.config):
            return (yield)
    except pytest.UsageError as error:
        pytest.exit(str(error), returncode=MISTAKE)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo):
    """A case that met an error says so in one line; the tests of the suite itself keep their tracebacks."""
    report = yield
    error = call.excinfo.value if call.excinfo else None
    ours = CASES in item.path.parents and not item.config.getoption("boxes_debug")
    finding = isinstance(error, AssertionError | pytest.fail.Exception)
    if report.failed and ours and isinstance(error, Exception) and not finding:
        report.longrepr = explain(error)[0]
    return report
