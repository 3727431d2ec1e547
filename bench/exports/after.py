"""A finished run -> its optional outputs: every answer as a file, and a metrics tracker."""

from __future__ import annotations

from pathlib import Path

from bench.exports.answers import write_table
from bench.exports.trackers import TRACKERS
from bench.records import Results
from bench.run.options import Options
from bench.run.plans import Plan


def hand_on(options: Options, results: Results, plan: Plan, folder: Path) -> list[str]:
    """Write the optional outputs. Returns lines for the terminal. A failing tracker does not fail the run."""
    lines = []
    if options.log_samples:
        file = folder / "answers.jsonl"
        lines.append(f"answers: {write_table(results.evaluations, plan, file, options.released_examples)}")
    if options.track:
        try:
            lines.append(f"tracked: {TRACKERS[options.track](results, folder)}")
        except Exception as error:  # from a server, a network or a login
            lines.append(f"not tracked: {options.track}: {type(error).__name__}: {error}")
    return lines
