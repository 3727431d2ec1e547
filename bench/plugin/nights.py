"""Saving a run, and comparing it with the baseline: the options, and what the exit status then says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pytest

from bench.nights.files import check_saved, find_night, load, save
from bench.nights.regression import (
    MEASURED_WORSE,
    NOT_MEASURED,
    Night,
    Regression,
    check_compatible,
    compare_nights,
    night_of,
)
from bench.records import Results
from bench.report.history import headline, write_history
from bench.text import printable

OWN = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)  # exit statuses of a run that came to its end


def add_options(add: Callable[..., None]) -> None:
    add(
        "--boxes-save",
        nargs="?",
        const="",
        metavar="NAME",
        help="keep this run to compare with, and for history.html",
    )
    add(
        "--boxes-compare",
        nargs="?",
        const="",
        metavar="PATH|NAME",
        help="compare with a saved run (default: the pinned baseline)",
    )
    add(
        "--boxes-compare-fail",
        action="store_true",
        help=f"exit with {MEASURED_WORSE} if a model got worse, {NOT_MEASURED} if one could not be measured",
    )


class Nights:
    """A plugin of the process that has the terminal. Raises ValueError for a baseline that will not do."""

    def __init__(self, config: pytest.Config, describe: Callable[[], Mapping[str, object]]) -> None:
        self.saved = Path(config.getoption("boxes_report_dir")) / "saved"
        self.name: str | None = config.getoption("boxes_save")
        self.fail: bool = config.getoption("boxes_compare_fail")
        self.regression: Regression | None = None
        if self.name is not None:
            check_saved(self.name, self.saved)
        compare = config.getoption("boxes_compare")
        self.baseline: Night | None = None
        if compare is not None or self.fail:
            self.baseline = load(find_night(compare or "", self.saved))
            check_compatible(self.baseline, describe())

    def finish(self, session: pytest.Session, results: Results, asked: Iterable[str]) -> Regression | None:
        """Save and compare as asked for; set the exit status."""
        if self.name is not None and results.evaluations:
            night = night_of(results)
            save(night, self.saved / f"{self.name or night.run}.json")
            write_history(self.saved)
        if self.baseline is None:
            return None
        self.regression = compare_nights(results, self.baseline, asked)
        if self.fail and session.exitstatus in OWN:
            session.exitstatus = self.regression.exit_status or session.exitstatus
        return self.regression

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.regression is None:
            return
        terminalreporter.section(printable(f"since the baseline {self.regression.baseline}"))
        terminalreporter.write_line(printable(headline(self.regression)))
        for model, reason in self.regression.unmeasured.items():
            terminalreporter.write_line(printable(f"- not measured: {model}: {reason}"))
        for part, (then, now) in self.regression.environment.items():
            terminalreporter.write_line(printable(f"- changed: {part}: {then} -> {now}"))
