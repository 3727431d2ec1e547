"""boxes view: a run -> its page in the browser."""

from __future__ import annotations

import argparse
import webbrowser
from pathlib import Path

from bench import ROOT
from bench.inputs import InputError
from bench.text import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "run", nargs="?", default="latest", help="folder of a run, or its name (default: %(default)s)"
    )
    parser.add_argument("--report-dir", type=Path, default=ROOT / "reports", help="default: reports")


def run(chosen: argparse.Namespace) -> int:
    """Open the page, and print its path for machines without a browser."""
    page = folder_of_run(chosen.run, chosen.report_dir) / "report.html"
    say(str(page))
    webbrowser.open(page.as_uri())
    return 0


def folder_of_run(run: str, reports: Path) -> Path:
    """The folder of a run by its name or path. Raises InputError if there is none."""
    for folder in (reports / run, Path(run)):
        if (folder / "report.html").is_file():
            return folder.resolve()
    known = sorted(path.parent.name for path in reports.glob("*/report.html"))
    raise InputError(f"no report.html of {run} in {reports}. Its runs: {', '.join(known) or 'none yet'}.")
