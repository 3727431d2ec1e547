"""Published figures -> Results: judged by the code that judges live runs; the pages of reports/published/."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from bench import ROOT
from bench.hypotheses import adjust_over_pairs, compare_recorded, judge
from bench.records import Results, Suite, Verdict
from bench.report.files import accuracy_csv
from bench.report.tables import HEADINGS, accuracy_table, pair_sections, verdict_lines
from bench.suites import load_suite

INTRODUCTION = """\
# The published figures, judged

Accuracies that Kim, Schuster & Toshniwal (2024, arXiv:2405.21068) report for 36 models, and what they say
about 20 pairs under this suite's tests. Made by `python -m bench published`.

Only counts are known, so the tests are **unpaired and unclustered**: Newcombe's interval for the difference,
the score test for its p (Holm over the pairs of a hypothesis at 1+, Benjamini-Hochberg over the buckets of a
pair). They take queries for independent; a live run pairs the two models' answers and resamples scenarios."""


def published() -> Results:
    """The paper's accuracies, random baseline and verdicts, without a single model run."""
    suite = load_suite("paper")
    metadata = {"source": "published", "tests": "from counts: unpaired, unclustered"}
    return Results(metadata, {}, suite.recorded, suite.recorded_baseline, tuple(judge_recorded(suite)))


def judge_recorded(suite: Suite) -> list[Verdict]:
    """The verdicts of a suite's recorded figures, on every pair and bucket that has them."""
    found = []
    for hypothesis in HEADINGS:
        compared = [
            compare_recorded(
                pair, suite.recorded[pair.base], suite.recorded[pair.variant], suite.recorded_baseline
            )
            for pair in suite.pairs
            if pair.hypothesis == hypothesis and {pair.base, pair.variant} <= suite.recorded.keys()
        ]
        found += [judge(entry) for entries in adjust_over_pairs(compared) for entry in entries]
    return found


def markdown(results: Results) -> str:
    """A section a hypothesis: verdicts, accuracies of its models, each pair by bucket."""
    parts = [INTRODUCTION]
    for hypothesis, heading in HEADINGS.items():
        verdicts = [entry for entry in results.verdicts if entry.comparison.pair.hypothesis == hypothesis]
        accuracies = {name: results.accuracies[name] for name in models_of(verdicts)}
        table = accuracy_table(accuracies, results.baseline)
        parts += [f"## {heading}", *verdict_lines(verdicts), table, *pair_sections(verdicts)]
    return "\n\n".join(parts) + "\n"


def models_of(verdicts: Sequence[Verdict]) -> list[str]:
    """Each base before its variants, once."""
    pairs = [verdict.comparison.pair for verdict in verdicts]
    return list(dict.fromkeys(name for pair in pairs for name in (pair.base, pair.variant)))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--report-dir", type=Path, default=ROOT / "reports" / "published", metavar="DIR")


def run(arguments: argparse.Namespace) -> int:
    """Write the report and its figures as CSV."""
    results, folder = published(), arguments.report_dir
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.md").write_text(markdown(results), encoding="utf-8")
    (folder / "accuracy.csv").write_text(accuracy_csv(results), encoding="utf-8", newline="")
    print(f"published figures of {len(results.accuracies)} models: {folder / 'report.md'}")
    return 0
