"""Results -> a saved run, the changes since the baseline, and the exit status."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pytest

from bench.nights.files import check_saved, find_night, load, save
from bench.nights.regression import Night, Regression, check_compatible, compare_nights, night_of
from bench.records import Results
from bench.run.options import Options
from bench.text import printable

OWN = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)  # exit statuses of a complete run


class Nights:
    """Saves and compares a run, according to its options. Raises ValueError if the baseline is unusable."""

    def __init__(self, options: Options, metadata: Callable[[], Mapping[str, object]]) -> None:
        self.saved = Path(options.report_dir) / "saved"
        self.name, self.fail = options.save, options.compare_fail
        self.kept: Path | None = None
        self.regression: Regression | None = None
        if self.name is not None:
            check_saved(self.name, self.saved)
        self.baseline: Night | None = None
        if options.compare is not None or self.fail:
            self.baseline = load(find_night(options.compare or "", self.saved))
            check_compatible(self.baseline, metadata())

    def finish(self, exit_status: int, results: Results, asked: Iterable[str]) -> int:
        """Save and compare, if requested. Returns the exit status of the run."""
        if self.name is not None and results.evaluations:
            night = night_of(results)
            from bench.report.history import write_history

            self.kept = save(night, self.saved / f"{self.name or night.run}.json")
            write_history(self.saved)
        if self.baseline is None:
            return exit_status
        self.regression = compare_nights(results, self.baseline, asked)
        if self.fail and exit_status in OWN:
            return self.regression.exit_status or exit_status
        return exit_status

    def show(self, terminalreporter: pytest.TerminalReporter) -> None:
        if (kept := self.kept) is not None:
            said = printable(f"saved: {kept}. Compare later runs with --boxes-compare={kept.stem}")
            terminalreporter.write_line(said)
        if (found := self.regression) is None:
            return
        from bench.report.tables import headline

        terminalreporter.section(printable(f"since {found.baseline}"))
        lines = [f"- not measured: {model}: {reason}" for model, reason in found.unmeasured.items()]
        lines += [f"- changed: {part}: {then} -> {now}" for part, (then, now) in found.environment.items()]
        for line in [headline(found), *lines]:
            terminalreporter.write_line(printable(line))
