"""A run that has its report -> what else was asked of it: every answer as a file, a metrics tracker."""

from __future__ import annotations

from pathlib import Path

from bench.exports.answers import write_table
from bench.exports.trackers import TRACKERS
from bench.records import Results
from bench.run.options import Options
from bench.run.plans import Plan


def hand_on(options: Options, results: Results, plan: Plan, folder: Path) -> list[str]:
    """Lines for the terminal. A tracker that fails costs a line, and nothing of the run."""
    lines = []
    if options.log_samples:
        file = folder / "answers.jsonl"
        lines.append(f"answers: {write_table(results.evaluations, plan, file, options.released_examples)}")
    if options.track:
        try:
            lines.append(f"tracked: {TRACKERS[options.track](results, folder)}")
        except Exception as error:  # of a server, a network or a login
            lines.append(f"not tracked: {options.track}: {type(error).__name__}: {error}")
    return lines
