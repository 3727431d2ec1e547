"""Results -> report.md: the findings, one section per hypothesis, and the settings of the run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.proportions import ALPHA
from bench.records import BUCKETS, Accuracy, Pooled, Results, Verdict
from bench.report.panels import HEADINGS, Section, find, recorded_sentence, sections
from bench.report.tables import (
    ABOVE_GUESSING,
    CONTROLS,
    FACTORS_CAPTION,
    SPREAD_CAPTION,
    accuracy_table,
    answers,
    cases,
    factors,
    metadata,
    name_pair,
    recorded_pairs,
    short_bucket,
    skip_lines,
    spread_table,
)
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


def markdown(results: Results, recorded: Sequence[Verdict] = (), since: str = "") -> str:
    """The whole report. recorded: verdicts on earlier figures. since: a sentence on changes since a run."""
    found = sections(results.verdicts, recorded)
    parts = [
        "# Entity tracking: does further training help?",
        *([since] if since else []),
        *(line for section in found for line in finding_lines(section)),
        "## Accuracy by number of operations on the box (percent)",
        as_markdown(accuracy_table(results.accuracies, results.baseline, results.over_random)),
        f"`1+` pools all boxes with at least one operation. {ABOVE_GUESSING}",
        *published_section(results),
        *([SPREAD_CAPTION, as_markdown(spread)] if (spread := spread_table(results)) else []),
        PAIR_NOTE,
        *(part for section in found for part in section_parts(section, results)),
    ]
    if results.skipped:
        parts += ["## Not run", bullet_list(map(inert, skip_lines(results.skipped)))]
    if results.evaluations:
        parts += ["## The answers", answers(results).caption, as_markdown(answers(results))]
    parts += ["## How it was run", as_markdown(metadata(results))]
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
        parts.append(CONTROLS)
    for panel in section.panels:
        kinds = ["accuracy", *(["errors"] if panel.pair.base in results.evaluations else [])]
        parts += [
            f"### {name_pair(panel.main.comparison)}",
            panel.main.sentence,
            as_markdown(cases(panel)),
            *(["All accuracies equal the recorded ones."] if panel.as_recorded else []),
            *(f"![{kind} of {panel.pair.id}](figures/{panel.name}-{kind}.png)" for kind in kinds),
        ]
        if table := factors(panel, results):
            parts += [FACTORS_CAPTION, as_markdown(table)]
    if section.panels and section.elsewhere:
        parts += ["### Recorded figures of pairs not run here", as_markdown(recorded_pairs(section))]
    return parts


def verdict_lines(verdicts: Sequence[Verdict]) -> list[str]:
    """The verdict of each pair at 1+, as a list."""
    tested = [verdict for verdict in verdicts if verdict.comparison.bucket == "ops1plus"]
    return (
        [bullet_list(f"**{name_pair(entry.comparison)}**: {entry.sentence}" for entry in tested)]
        if tested
        else []
    )


def pooled_lines(found: Iterable[Pooled]) -> list[str]:
    """The verdict of each hypothesis over its pairs, as a list."""
    lines = [
        f"**{HEADINGS.get(entry.hypothesis, entry.hypothesis)}, all pairs**: {entry.sentence}"
        for entry in found
    ]
    return [bullet_list(lines)] if lines else []


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
    columns = (Column("model"), *(Column(short_bucket(bucket)) for bucket in buckets))
    return [
        "## Beside the published figures (percent)",
        as_markdown(Table("published", "", columns, tuple(rows))),
        "≠ means that the two differ (two-sided p below 5%, not adjusted, assuming our design effect).",
    ]


def beside(told: Accuracy | None, live: Accuracy) -> str:
    return "" if told is None else share(told) + (" ≠" if agreement_p(live, told) < ALPHA else "")


def bullet_list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
