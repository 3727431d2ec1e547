"""Results -> report.md: the findings, one section per hypothesis, and the settings of the run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.nights.regression import Flip, Regression
from bench.proportions import ALPHA
from bench.records import BUCKETS, Accuracy, Results, Verdict
from bench.report import tables
from bench.report.panels import Section, find, recorded_sentence, sections
from bench.report.tabular import Column, Table, share
from bench.report.tabular import markdown as as_markdown
from bench.scoring.stats import agreement_p
from bench.text import inert

PAIR_NOTE = (
    "Brackets after an accuracy show its 95% interval. Brackets after a difference show the interval of its "
    "test, which excludes 0 exactly when p is below 5%. p is two-sided. It is adjusted if `tests` is above "
    "1: at 1+ over the pairs of the hypothesis (Holm), at 1 to 7 operations over the buckets of the pair "
    "(Benjamini-Hochberg, exploratory)."
)


def markdown(
    results: Results, recorded: Sequence[Verdict] = (), regression: Regression | None = None
) -> str:
    """The whole report. recorded: verdicts on earlier figures. regression: the changes since a run."""
    found = sections(results.verdicts, recorded)
    parts = [
        "# Entity tracking: does further training help?",
        *([inert(tables.headline(regression))] if regression else []),
        *(line for section in found for line in finding_lines(section)),
        "## Accuracy by number of operations on the box (percent)",
        as_markdown(tables.accuracy_table(results)),
        f"`1+` pools all boxes with at least one operation. {tables.ABOVE_GUESSING}",
        *published_section(results),
        *([spread.caption, as_markdown(spread)] if (spread := tables.spread_table(results)) else []),
        PAIR_NOTE,
        *(part for section in found for part in section_parts(section, results)),
    ]
    if results.skipped:
        parts += ["## Not run", bullet_list(map(inert, tables.skip_lines(results.skipped)))]
    if results.evaluations:
        answers = tables.answers(results)
        parts += ["## The answers", answers.caption, as_markdown(answers)]
    parts += ["## How it was run", as_markdown(tables.metadata(results))]
    if regression:
        parts += regression_parts(regression)
    return "\n\n".join(parts) + "\n"


def finding_lines(section: Section) -> list[str]:
    """The answer to a section's question, the answers of its pairs, and the recorded figures."""
    found, before = find(section), recorded_sentence(section)
    if found is None:
        return []
    lines = [f"**{found.question}** {found.sentence} {before}".strip()]
    return [*lines, bullet_list(pair.sentence for pair in found.pairs)] if found.pairs else lines


def section_parts(section: Section, results: Results) -> list[str]:
    """One heading and one table per pair, with the pair's figures."""
    parts = [f"## {section.heading}"] if section.panels else []
    if parts and section.name == "controls":
        parts.append(tables.CONTROLS)
    for panel in section.panels:
        kinds = ["accuracy", *(["errors"] if panel.pair.base in results.evaluations else [])]
        parts += [
            f"### {tables.name_pair(panel.main.comparison)}",
            panel.main.sentence,
            as_markdown(tables.cases(panel)),
            *(["All accuracies equal the recorded ones."] if panel.as_recorded else []),
            *(f"![{kind} of {panel.pair.id}](figures/{panel.name}-{kind}.png)" for kind in kinds),
        ]
        if table := tables.factors(panel, results):
            parts += [table.caption, as_markdown(table)]
    if section.panels and section.elsewhere:
        parts += ["### Recorded figures of pairs not run here", as_markdown(tables.recorded_pairs(section))]
    return parts


def published_section(results: Results) -> list[str]:
    """This run's accuracies beside the published accuracies of the same models, if there are any."""
    known = [model for model in results.accuracies if model in results.published]
    if not known:
        return []
    buckets = [bucket for bucket in BUCKETS if bucket in results.baseline]
    rows: list[tuple[object, ...]] = []
    for model in known:
        live, told = results.accuracies[model], results.published[model]
        rows.append((model, *(share(live[bucket]) for bucket in buckets)))
        rows.append(("as published", *(beside(told.get(bucket), live[bucket]) for bucket in buckets)))
    columns = (Column("model"), *(Column(tables.short_bucket(bucket)) for bucket in buckets))
    return [
        "## Beside the published figures (percent)",
        as_markdown(Table("published", "", columns, tuple(rows))),
        "≠ means that the two differ (two-sided p below 5%, not adjusted, assuming our design effect).",
    ]


def beside(told: Accuracy | None, live: Accuracy) -> str:
    return "" if told is None else share(told) + (" ≠" if agreement_p(live, told) < ALPHA else "")


def regression_parts(regression: Regression) -> list[str]:
    """Models not measured, other changes, every figure, and every box with a different result."""
    parts = [f"## Since {inert(regression.baseline)}"]
    if regression.unmeasured:
        lines = bullet_list(inert(f"{model}: {reason}") for model, reason in regression.unmeasured.items())
        parts += ["### Could not be measured", lines]
    if regression.environment:
        changes = regression.environment.items()
        lines = bullet_list(inert(f"{part}: {then} → {now}") for part, (then, now) in changes)
        parts += ["### Other changes", lines]
    parts += ["### Figures", as_markdown(tables.changes_table(regression))]
    if regression.flips:
        lines = bullet_list(map(line_of_flip, regression.flips))
        summary = f"<summary>{len(regression.flips):,} boxes have a different result</summary>"
        parts += [f"<details>{summary}", lines, "</details>"]
    return parts


def line_of_flip(flip: Flip) -> str:
    score = flip.score
    return (
        f"{flip.model}: {score.example_id}, box {score.box}, {score.num_ops} operations: "
        f"{flip.was or 'right'} → {score.error or 'right'}"
    )


def bullet_list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
