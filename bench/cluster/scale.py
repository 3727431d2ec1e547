"""Suite -> the table in docs/scale.md with the memory and the number of cards of each model."""

from __future__ import annotations

import argparse
from pathlib import Path

from tabulate import tabulate

from bench import ROOT
from bench.inputs import InputError, read_text
from bench.models.suites import load_suite
from bench.outputs import write_text
from bench.records import ModelEntry, Suite

CARD_GB = 80
ROOMY = 0.85  # share of a card's memory; the rest is for long prompts and a batch
SERVED = 0.9  # share of a card's memory that vLLM uses by default
OPENING, CLOSING = "<!-- needs -->\n", "<!-- /needs -->"


def needs_table(suite: Suite) -> str:
    """One row per model: memory, precision, and number of 80 GB cards, here and on a server."""
    rows = [
        [
            entry.name,
            entry.path,
            f"{entry.memory_gb:.0f}",
            "8 bits" if entry.quantization else "bfloat16",
            cards(entry),
            served_cards(entry),
        ]
        for entry in suite.models.values()
    ]
    headers = ["model", "on the hub", "GB", "precision", "cards", "cards, served"]
    return tabulate(rows, headers, tablefmt="github")


def cards(entry: ModelEntry) -> int:
    """The smallest number of cards for the model, with spare memory."""
    assert entry.memory_gb is not None, "every model of the paper has its memory"
    return next(number for number in range(1, 9) if entry.memory_gb <= ROOMY * CARD_GB * number)


def served_cards(entry: ModelEntry) -> int:
    """The smallest number of cards that serve the model in bfloat16. A power of two can share its heads."""
    assert entry.parameters is not None, "every model of the paper has a size"
    return next(number for number in (1, 2, 4, 8) if 2 * entry.parameters * 1.1 <= SERVED * CARD_GB * number)


def updated(page: str) -> str:
    """The page with a new table. Raises ValueError if a mark of the table is missing."""
    before, opened, rest = page.partition(OPENING)
    _, closed, after = rest.partition(CLOSING)
    if not (opened and closed):
        raise InputError(f"no {OPENING.strip()} and {CLOSING} in the page. Put them back.")
    return f"{before}{OPENING}\n{needs_table(load_suite('paper'))}\n\n{CLOSING}{after}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    page = ROOT / "docs" / "scale.md"
    parser.add_argument("--page", type=Path, default=page, metavar="FILE", help="default: docs/scale.md")


def run(arguments: argparse.Namespace) -> int:
    """Write a new table into the page."""
    page = arguments.page
    write_text(page, updated(read_text(page)))
    print(f"{page}: the table of models is up to date")
    return 0
