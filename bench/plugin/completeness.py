"""Cases collected, cases reported -> cases lost: what xdist can lose with exit status 0, found out.

A worker that fails while it sends a report, or dies when no restart is left, takes cases with it.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from bench.text import printable

SHOWN = 20
COMPLETE = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERNAL_ERROR)


class Completeness:
    """Plugin for the main process: every collected case must report its end or a crash.

    armed: whether the run is ours. Other runs are left alone.
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
        """Fail the run, unless the user ended it (by hand, -x, --maxfail)."""
        if not self.armed or session.shouldfail or session.exitstatus not in COMPLETE:
            return
        self.lost = [node_id for node_id in self.collected if node_id not in self.reported]
        if self.lost and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        if session.exitstatus == pytest.ExitCode.INTERNAL_ERROR:  # pytest then leaves out its summary
            self.pytest_terminal_summary(session.config.pluginmanager.getplugin("terminalreporter"))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.lost:
            terminalreporter.section("cases lost", red=True, bold=True)
            terminalreporter.write_line(f"{len(self.lost)} collected cases never reported. Run again:")
            for node_id in self.lost[:SHOWN]:
                terminalreporter.write_line(printable(f"  {node_id}"))
            if len(self.lost) > SHOWN:
                terminalreporter.write_line(f"  and {len(self.lost) - SHOWN} more")
