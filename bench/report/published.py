"""Published figures -> Results, judged by the code for live runs, and the pages of reports/published/."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from bench import ROOT
from bench.models.suites import load_suite
from bench.outputs import replacing, write_text
from bench.records import HYPOTHESES, Results
from bench.report.drawings import drawings_of, svg
from bench.report.files import accuracy_csv, check_place, write_figures
from bench.report.markdown import PAIR_NOTE, bullet_list
from bench.report.page import html
from bench.report.panels import Panel, by_pair
from bench.report.tables import COUNTS_NOTE, accuracy_table, cases, name_pair
from bench.report.tabular import markdown as as_markdown
from bench.run.plans import models_of
from bench.scoring.pooling import pool_all
from bench.scoring.stats import gates
from bench.scoring.verdicts import judge_recorded
from bench.text import say

INTRODUCTION = """\
# The published figures, judged

Kim, Schuster & Toshniwal (2024, arXiv:2405.21068) report accuracies of 36 models. This page applies this
suite's tests to the 20 pairs among them. `python -m bench published` makes it.

Only counts are known, so the tests are **unpaired and unclustered**: Agresti and Caffo's interval and its
two-sided p. These tests assume that queries are independent. A live run instead pairs the answers of the two
models and uses the scenario as the unit. Accuracies are in percent, by number of operations on the box.
**Bold** accuracies are above random guessing, adjusted over the buckets of the model (Holm)."""


def published_results() -> Results:
    """The paper's accuracies, random baseline and verdicts. No model runs."""
    suite = load_suite("paper")
    metadata = {"source": "published", "tests": "from counts: unpaired, unclustered"}
    baseline = suite.recorded_baseline
    over_random = {name: gates(found, baseline) for name, found in suite.recorded.items()}
    verdicts = tuple(judge_recorded(suite, baseline))
    return Results(metadata, {}, suite.recorded, baseline, verdicts, over_random=over_random)


def markdown(results: Results) -> str:
    """One section per hypothesis: verdicts, accuracies of its models, each pair by bucket."""
    parts = [INTRODUCTION]
    for hypothesis in HYPOTHESES:
        heading = hypothesis.capitalize()
        verdicts = [entry for entry in results.verdicts if entry.comparison.pair.hypothesis == hypothesis]
        models = models_of(entry.comparison.pair for entry in verdicts)
        of_models = replace(results, accuracies={name: results.accuracies[name] for name in models})
        figures = [
            f"![{heading}: {kind}](figures/{hypothesis}-{kind}.png)"
            for kind in ("forest", "accuracy", "effects")
        ]
        parts += [
            f"## {heading}",
            bullet_list(f"**{heading}, all pairs**: {pooled.sentence}" for pooled in pool_all(verdicts)),
            bullet_list(
                f"**{name_pair(verdict.comparison)}**: {verdict.sentence}"
                for verdict in verdicts
                if verdict.comparison.bucket == "ops1plus"
            ),
            as_markdown(accuracy_table(of_models)),
            *figures,
            f"{PAIR_NOTE} {COUNTS_NOTE}",
        ]
        for pair, shown in by_pair(verdicts).items():
            panel = Panel(pair, shown, {})
            parts += [f"### {name_pair(panel.main.comparison)}", as_markdown(cases(panel))]
    return "\n\n".join(parts) + "\n"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--report-dir", type=Path, default=ROOT / "reports" / "published", metavar="DIR")


def run(arguments: argparse.Namespace) -> int:
    """Write the report, the drawings of each hypothesis, and all accuracies as CSV."""
    folder = check_place(arguments.report_dir)
    results, suite = published_results(), load_suite("paper")
    figures = drawings_of(results, (), suite)
    pairs = {name: svg(drawing.figure(), name) for name, drawing in figures.items() if ".." in name}
    with replacing(folder) as fresh:
        fresh.mkdir()
        files = {name: drawing for name, drawing in figures.items() if name not in pairs}
        drawings = pairs | write_figures(files, fresh / "figures")
        write_text(fresh / "report.md", markdown(results))
        write_text(fresh / "accuracy.csv", accuracy_csv(results))
        write_text(fresh / "report.html", html(results, drawings, only_drawn=pairs))
    say(f"published figures of {len(results.accuracies)} models: {folder / 'report.md'}")
    return 0
