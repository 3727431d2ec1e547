"""A saved run -> the pinned baseline. The baseline changes in no other way."""

from __future__ import annotations

import argparse
from pathlib import Path

from bench import ROOT
from bench.inputs import InputError
from bench.nights.files import BASELINE, find_night, load, save
from bench.nights.regression import Night
from bench.text import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("night", metavar="NAME|PATH", help="a run that was saved with --boxes-save")
    parser.add_argument(
        "--report-dir", type=Path, default=ROOT / "reports", metavar="DIR", help="default: reports"
    )
    parser.add_argument("--to", type=Path, default=BASELINE, metavar="PATH", help="default: the pinned one")


def run(arguments: argparse.Namespace) -> int:
    """Replace the baseline, and print the change of each model for review."""
    if not arguments.night:
        raise InputError("the name of the saved run is empty. Give the name that --boxes-save had.")
    night = load(find_night(arguments.night, arguments.report_dir / "saved"))
    before = load(arguments.to) if arguments.to.is_file() else Night({"run": "none"}, {})
    save(night, arguments.to)
    say(f"{arguments.to}: {before.run} -> {night.run}")
    for name in sorted(before.models.keys() | night.models.keys()):
        say(f"  {name}: {in_words(before, name)} -> {in_words(night, name)}")
    return 0


def in_words(night: Night, model: str) -> str:
    found = night.models.get(model)
    if found is None:
        return "not included"
    if (shown := found.accuracies.get("ops1plus")) is None:
        return "no queries at 1+"
    return f"{shown.value:.1%} at 1+ ({shown.correct} of {shown.n})"
