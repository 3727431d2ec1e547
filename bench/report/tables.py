"""Results -> tables, and the Markdown report: accuracies, verdicts, errors, and how the run was made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, mean, stdev

from bench.proportions import ALPHA
from bench.records import BUCKETS, Accuracy, Comparison, Evaluation, Gate, Outcome, Pooled, Results, Verdict
from bench.report.panels import HEADINGS, Panel, Section, sections
from bench.report.sentences import find, recorded_sentence
from bench.report.tabular import Bold, Column, Kind, Table, share
from bench.report.tabular import markdown as as_markdown
from bench.scoring.scores import ERROR_KINDS
from bench.scoring.sentences import FROM_COUNTS
from bench.scoring.stats import agreement_p
from bench.text import inert, printable

ANSWER_FORMS = ("whole", "cut", "malformed", "unfinished")
COUNTS_NOTE = (
    "From counts: which answers came from one scenario is unknown, so the intervals are too narrow if "
    "answers cluster. The last columns say whether a finding holds under a design effect of 1.4, as the "
    "embedded models have, and of 2."
)
ABOVE_GUESSING = "Bold: above random guessing, adjusted over the buckets of the model (Holm)."
PAIR_NOTE = (
    "Brackets after an accuracy are its 95% interval. Brackets after a difference are the interval of its "
    "test: it excludes 0 just where p is below 5%. p is two-sided, and adjusted where `tests` is above 1: "
    "over the pairs of the hypothesis at 1+ (Holm), over the buckets 1 to 7 of the pair (Benjamini-Hochberg, "
    "exploratory)."
)
CONTROLS = (
    "Controls check the benchmark itself. A positive control must show a gain. A negative control must not."
)
SPREAD_CAPTION = "Spread between seeds, wordings or precisions of one model, in percent."
FACTORS_CAPTION = "Accuracy on boxes with 1 or more operations, by what else varies."


def markdown(results: Results, recorded: Sequence[Verdict] = (), since: str = "") -> str:
    """The whole report. recorded: verdicts on figures measured before. since: what changed since a run."""
    found = sections(results.verdicts, recorded)
    parts = [
        "# Entity tracking: does further training help?",
        *([since] if since else []),
        *(line for section in found for line in finding_lines(section)),
        "## Accuracy by number of operations on the box (percent)",
        as_markdown(accuracy_table(results.accuracies, results.baseline, results.over_random)),
        f"`1+` pools all boxes that some operation changed. {ABOVE_GUESSING}",
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
    """The answer to a section's question, then each pair's, then what was recorded before."""
    found, before = find(section), recorded_sentence(section)
    if found is None:
        return []
    lines = [f"**{found.question}** {found.sentence} {before}".strip()]
    return [*lines, bullet_list(pair.sentence for pair in found.pairs)] if found.pairs else lines


def section_parts(section: Section, results: Results) -> list[str]:
    """A heading and a table a pair, with the pair's figures."""
    parts = [f"## {section.heading}"] if section.panels else []
    if parts and section.name == "controls":
        parts.append(CONTROLS)
    for panel in section.panels:
        kinds = ["accuracy", *(["errors"] if panel.pair.base in results.evaluations else [])]
        parts += [
            f"### {name_pair(panel.main.comparison)}",
            panel.main.sentence,
            as_markdown(cases(panel)),
            *(["Every accuracy is the recorded one."] if panel.as_recorded else []),
            *(f"![{kind} of {panel.pair.id}](figures/{panel.name}-{kind}.png)" for kind in kinds),
        ]
        if table := factors(panel, results):
            parts += [FACTORS_CAPTION, as_markdown(table)]
    if section.panels and section.elsewhere:
        parts += ["### Recorded before, not run here", as_markdown(recorded_pairs(section))]
    return parts


def verdict_lines(verdicts: Sequence[Verdict]) -> list[str]:
    """The verdict of each pair, in one sentence."""
    tested = [verdict for verdict in verdicts if verdict.comparison.bucket == "ops1plus"]
    return (
        [bullet_list(f"**{name_pair(entry.comparison)}**: {entry.sentence}" for entry in tested)]
        if tested
        else []
    )


def pooled_lines(found: Iterable[Pooled]) -> list[str]:
    """The verdict of each hypothesis over its pairs, in one sentence."""
    lines = [
        f"**{HEADINGS.get(entry.hypothesis, entry.hypothesis)}, all pairs**: {entry.sentence}"
        for entry in found
    ]
    return [bullet_list(lines)] if lines else []


def skip_lines(skipped: Mapping[str, str]) -> list[str]:
    """One line a reason, with the models that it holds for."""
    by_reason: dict[str, list[str]] = {}
    for model, reason in skipped.items():
        by_reason.setdefault(reason, []).append(model)
    return [printable(f"{', '.join(models)}: {reason}") for reason, models in by_reason.items()]


def bullet_list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def accuracy_table(
    accuracies: Mapping[str, Mapping[str, Accuracy]],
    baseline: Mapping[str, float],
    over_random: Mapping[str, Mapping[str, Gate]] | None = None,
    kind: Kind = "share",
) -> Table:
    """A row a model, a column a bucket; then guessing, queries, scenarios, the largest design effect."""
    buckets = [bucket for bucket in BUCKETS if bucket in baseline]
    rows: list[tuple[object, ...]] = []
    for name, found in accuracies.items():
        gates = (over_random or {}).get(name, {})
        rows.append((name, *(marked(found.get(bucket), gates.get(bucket)) for bucket in buckets)))
    rows.append(("random guessing", *(baseline[bucket] for bucket in buckets)))
    for found in list(accuracies.values())[:1]:  # the same for every model
        rows.append(("n", *(found[bucket].n for bucket in buckets)))
        if any(found[bucket].scenarios for bucket in buckets):
            rows.append(("scenarios", *(found[bucket].scenarios for bucket in buckets)))
            largest = (max(found[b].design_effect for found in accuracies.values()) for b in buckets)
            rows.append(("largest design effect", *(f"{effect:.2f}" for effect in largest)))
    return Table(
        "accuracy",
        "Boxes whose contents are stated exactly right, in percent, by operations on the box. "
        f"1+ pools all boxes that some operation changed. {ABOVE_GUESSING}",
        (Column("model"), *(Column(short_bucket(bucket), kind) for bucket in buckets)),
        tuple(rows),
    )


def marked(observed: Accuracy | None, gate: Gate | None) -> object:
    return Bold(observed) if observed and gate and gate.standing == "above" else observed


def published_section(results: Results) -> list[str]:
    """This run's accuracies beside the published ones of the same models, where there are any."""
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
        "≠: the two differ (two-sided p below 5%, not adjusted; the design effect is taken for ours).",
    ]


def spread_table(results: Results) -> Table | None:
    """Beside what sampling moves: the spread between seeds, wordings or precisions of one model."""
    rows = [
        (group, short_bucket(bucket), *spread_of([results.accuracies[model][bucket] for model in members]))
        for group, members in results.groups.items()
        for bucket in results.baseline
    ]
    headings = ["group", "ops", "models", "mean", "range", "standard deviation", "95% interval of one"]
    columns = tuple(map(Column, headings))
    return Table("spread", SPREAD_CAPTION, columns, tuple(rows)) if rows else None


def spread_of(found: Sequence[Accuracy]) -> list[str]:
    """Number, mean, range and standard deviation, beside the half width that sampling gives one interval."""
    shares = [100 * entry.value for entry in found]
    half = fmean(50 * (entry.high - entry.low) for entry in found)
    ends = f"{min(shares):.1f} to {max(shares):.1f}"
    return [str(len(found)), f"{fmean(shares):.1f}", ends, f"{stdev(shares):.1f}", f"± {half:.1f}"]


def beside(told: Accuracy | None, live: Accuracy) -> str:
    return "" if told is None else share(told) + (" ≠" if agreement_p(live, told) < ALPHA else "")


def cases(panel: Panel) -> Table:
    """A row a bucket: both models, the gain, the verdict, and what was recorded before, if anything was."""
    shown = pair_columns(panel.main)
    caveat = "" if panel.main.comparison.paired else f", {FROM_COUNTS}"
    columns = (*shown, *((RECORDED_GAIN, RECORDED_FINDING) if panel.behind else ()))
    rows = []
    for bucket, verdict in panel.shown.items():
        before = panel.behind.get(bucket)
        recorded = (before and before.comparison.difference, before and before.outcome)
        rows.append((short_bucket(bucket), *pair_cells(verdict), *(recorded if panel.behind else ())))
    return Table(
        panel.name,
        f"{name_pair(panel.main.comparison)}: accuracy in percent, with intervals{caveat}.",
        columns,
        tuple(rows),
        tuple(f"case-{panel.name}-{bucket}" for bucket in panel.shown),
        frozenset(n for n, bucket in enumerate(panel.shown) if bucket == "ops1plus"),
    )


BOTH_MODELS = (Column("base", "interval", "base"), Column("variant", "interval", "variant"))
RECORDED_GAIN, RECORDED_FINDING = Column("recorded gain", "gain"), Column("recorded finding", "finding")


def pair_columns(verdict: Verdict, first: str = "ops") -> tuple[Column, ...]:
    """Findings stand beside the figures that they rest on."""
    paired = verdict.comparison.paired
    clustering = (Column("scenarios", "count"), Column("design effects")) if paired else ()
    return (
        Column(first), *BOTH_MODELS, Column("variant − base", "gain"), Column("finding", "finding"),
        Column("n", "count"), *clustering, Column("random", "share"), Column("p", "p"),
        Column("tests", "count"),
        *(Column(f"at design effect {effect:g}") for effect, _ in verdict.if_clustered),
    )  # fmt: skip


def pair_cells(verdict: Verdict) -> tuple[object, ...]:
    """The cells of pair_columns but the first."""
    found = verdict.comparison
    effects = f"{found.base.design_effect:.2f}, {found.variant.design_effect:.2f}"
    return (
        found.base, found.variant, found.difference, verdict.outcome, found.base.n,
        *((found.scenarios, effects) if found.paired else ()),
        found.baseline, found.p_adjusted, found.tests,
        *(held(verdict, outcome) for _, outcome in verdict.if_clustered),
    )  # fmt: skip


def held(verdict: Verdict, outcome: Outcome) -> str:
    """Whether a finding stands under another assumption, and what is found if not."""
    return "holds" if outcome == verdict.outcome else outcome


def recorded_pairs(section: Section) -> Table:
    """A row a pair that was not run here, on boxes with 1 or more operations."""
    rows = [
        (f"{panel.pair.base} → {panel.pair.variant}", *pair_cells(panel.main)) for panel in section.elsewhere
    ]
    caption = "Recorded figures of pairs that were not run here, on boxes with 1 or more operations"
    columns = pair_columns(section.elsewhere[0].main, "pair")
    return Table(f"{section.name}-recorded", f"{caption}, {FROM_COUNTS}.", columns, tuple(rows))


def factors(panel: Panel, results: Results) -> Table | None:
    """A row a level of a factor: both models' accuracy; None where only counts are known."""
    base, variant = (results.factors.get(name) for name in (panel.pair.base, panel.pair.variant))
    if base is None or variant is None:
        return None
    rows = [
        (factor, level, found, variant[factor].get(level), found.n)
        for factor, levels in base.items()
        for level, found in levels.items()
    ]
    columns = (Column("by"), Column("level"), *BOTH_MODELS, Column("n", "count"))
    return Table(f"{panel.name}-factors", FACTORS_CAPTION, columns, tuple(rows))


def name_pair(found: Comparison) -> str:
    pair = found.pair
    kind = (
        f"{pair.control} control" if pair.control else HEADINGS.get(pair.hypothesis, pair.hypothesis).lower()
    )
    return f"{pair.base} → {pair.variant} ({kind})"


def short_bucket(bucket: str) -> str:
    return bucket.removeprefix("ops").replace("1plus", "1+")


def answers(results: Results) -> Table:
    """How each model's answers came out, and what kinds of errors they hold. No column is all zero."""
    errors = {name: Counter(s.error for s in found.scores) for name, found in results.evaluations.items()}
    forms = [form for form in ANSWER_FORMS if any(f.forms.get(form) for f in results.evaluations.values())]
    kinds = [kind for kind in ERROR_KINDS if any(counts[kind] for counts in errors.values())]
    warned = any(map(warning_of, results.evaluations.values()))
    rows = [
        (
            name,
            *(found.forms.get(f, 0) for f in forms),
            *(errors[name][k] for k in kinds),
            *([round(mean(found.thinking.values()))] if found.thinking else []),
            found.engine,
            *([warning_of(found)] if warned else []),
        )
        for name, found in results.evaluations.items()
    ]
    counts = [*(f"answers {form}" for form in forms), *(f"boxes {kind}" for kind in kinds)]
    if any(found.thinking for found in results.evaluations.values()):
        counts.append("mean tokens of thinking")
    columns = (Column("model"), *(Column(heading, "count") for heading in counts), Column("engine"))
    columns += (Column("warning"),) if warned else ()
    caption = (
        "An answer states all boxes. It is whole, cut at the token limit, malformed, or missing because the "
        "model's thinking did not end (unfinished). "
        "A wrong box is stale (an earlier state), missing or extra (objects), other, or unread."
    )
    return Table("answers", caption, columns, tuple(rows))


def warning_of(found: Evaluation) -> str:
    """What the audit found doubtful about how the model was asked."""
    metadata = found.run.get("metadata")
    return str(metadata.get("warning") or "") if isinstance(metadata, dict) else ""


def metadata(results: Results) -> Table:
    rows = tuple((key, str(value)) for key, value in results.metadata.items())
    return Table("metadata", "", (Column("what"), Column("value")), rows)
