"""Results -> tables of values: accuracies, verdicts, errors, settings of the run. tabular.py writes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean, mean, stdev

from bench.nights.regression import Regression
from bench.records import BUCKETS, Accuracy, Comparison, Evaluation, Gate, Results, Verdict
from bench.report.panels import Panel, Section
from bench.report.tabular import Bold, Column, Kind, Table, signed_interval
from bench.scoring.scores import ERROR_KINDS
from bench.scoring.sentences import FROM_COUNTS
from bench.text import printable

ANSWER_FORMS = ("whole", "cut", "malformed", "unfinished")
COUNTS_NOTE = (
    "Only counts are known here. The scenario of each answer is unknown, so the intervals are too narrow if "
    "answers cluster by scenario. The last columns show whether a finding holds under a design effect of "
    "1.4, which the embedded models have, and of 2."
)
ABOVE_GUESSING = "Bold means above random guessing, adjusted over the buckets of the model (Holm)."
CONTROLS = (
    "Controls check the benchmark itself. A positive control must show a gain. A negative control must not."
)
BASE, VARIANT = Column("base", "interval", "base"), Column("variant", "interval", "variant")


def skip_lines(skipped: Mapping[str, str]) -> list[str]:
    """One line per reason, with its models."""
    by_reason: dict[str, list[str]] = {}
    for model, reason in skipped.items():
        by_reason.setdefault(reason, []).append(model)
    return [printable(f"{', '.join(models)}: {reason}") for reason, models in by_reason.items()]


def accuracy_table(results: Results, kind: Kind = "share") -> Table:
    """One row per model, one column per bucket; then guessing, n, scenarios and the largest design effect."""
    buckets, accuracies = [bucket for bucket in BUCKETS if bucket in results.baseline], results.accuracies
    rows: list[tuple[object, ...]] = []
    for name, found in accuracies.items():
        gates = results.over_random.get(name, {})
        rows.append((name, *(marked(found.get(bucket), gates.get(bucket)) for bucket in buckets)))
    rows.append(("random guessing", *(results.baseline[bucket] for bucket in buckets)))
    for found in list(accuracies.values())[:1]:  # the same for every model
        rows.append(("n", *(found[bucket].n for bucket in buckets)))
        if any(found[bucket].scenarios for bucket in buckets):
            rows.append(("scenarios", *(found[bucket].scenarios for bucket in buckets)))
            largest = (max(found[b].design_effect for found in accuracies.values()) for b in buckets)
            rows.append(("largest design effect", *(f"{effect:.2f}" for effect in largest)))
    return Table(
        "accuracy",
        "Boxes whose contents are stated exactly right, in percent, by operations on the box. "
        f"1+ pools all boxes with at least one operation. {ABOVE_GUESSING}",
        (Column("model"), *(Column(short_bucket(bucket), kind) for bucket in buckets)),
        tuple(rows),
    )


def marked(observed: Accuracy | None, gate: Gate | None) -> object:
    return Bold(observed) if observed and gate and gate.standing == "above" else observed


def spread_table(results: Results) -> Table | None:
    """The spread between seeds, wordings or precisions of one model, beside the sampling interval."""
    rows = [
        (group, short_bucket(bucket), *spread_of([results.accuracies[model][bucket] for model in members]))
        for group, members in results.groups.items()
        for bucket in results.baseline
    ]
    headings = ["group", "ops", "models", "mean", "range", "standard deviation", "95% interval of one"]
    columns = tuple(map(Column, headings))
    caption = "Spread between seeds, wordings or precisions of one model, in percent."
    return Table("spread", caption, columns, tuple(rows)) if rows else None


def spread_of(found: Sequence[Accuracy]) -> list[str]:
    """Number, mean, range and standard deviation of the models, and the mean half width of intervals."""
    shares = [100 * entry.value for entry in found]
    half = fmean(50 * (entry.high - entry.low) for entry in found)
    ends = f"{min(shares):.1f} to {max(shares):.1f}"
    return [str(len(found)), f"{fmean(shares):.1f}", ends, f"{stdev(shares):.1f}", f"± {half:.1f}"]


def cases(panel: Panel) -> Table:
    """One row per bucket: both models, the gain, the verdict, and the recorded gain and verdict, if any."""
    caveat = "" if panel.main.comparison.paired else f", {FROM_COUNTS}"
    rows = []
    for bucket, verdict in panel.shown.items():
        row = {Column("ops"): short_bucket(bucket), **pair_cells(verdict)}
        if panel.behind:
            before = panel.behind.get(bucket)
            row[Column("recorded gain", "gain")] = before and before.comparison.difference
            row[Column("recorded finding", "finding")] = before and before.outcome
        rows.append(row)
    return Table(
        panel.name,
        f"{name_pair(panel.main.comparison)}: accuracy in percent, with intervals{caveat}.",
        tuple(rows[0]),
        tuple(tuple(row.values()) for row in rows),
        tuple(f"case-{panel.name}-{bucket}" for bucket in panel.shown),
        frozenset(n for n, bucket in enumerate(panel.shown) if bucket == "ops1plus"),
    )


def pair_cells(verdict: Verdict) -> dict[Column, object]:
    """A row on a pair, by column. The finding stands beside the gain."""
    found = verdict.comparison
    base, variant = found.base, found.variant
    cells: dict[Column, object] = {
        BASE: base,
        VARIANT: variant,
        Column("variant − base", "gain"): found.difference,
        Column("finding", "finding"): verdict.outcome,
        Column("n", "count"): base.n,
    }
    if found.paired:
        cells[Column("scenarios", "count")] = found.scenarios
        cells[Column("design effects")] = f"{base.design_effect:.2f}, {variant.design_effect:.2f}"
    cells |= {
        Column("random", "share"): found.baseline,
        Column("p", "p"): found.p_adjusted,
        Column("tests", "count"): found.tests,
    }
    for effect, outcome in verdict.if_clustered:
        cells[Column(f"at design effect {effect:g}")] = "holds" if outcome == verdict.outcome else outcome
    return cells


def recorded_pairs(section: Section) -> Table:
    """One row per pair that was not run here, on boxes with 1 or more operations."""
    rows = [
        {Column("pair"): f"{panel.pair.base} → {panel.pair.variant}", **pair_cells(panel.main)}
        for panel in section.elsewhere
    ]
    caption = "Recorded figures of pairs that were not run here, on boxes with 1 or more operations"
    cells = tuple(tuple(row.values()) for row in rows)
    return Table(f"{section.name}-recorded", f"{caption}, {FROM_COUNTS}.", tuple(rows[0]), cells)


def factors(panel: Panel, results: Results) -> Table | None:
    """One row per level of a factor, with the accuracy of both models; None if only counts are known."""
    base, variant = (results.factors.get(name) for name in (panel.pair.base, panel.pair.variant))
    if base is None or variant is None:
        return None
    rows = [
        (factor, level, found, variant[factor].get(level), found.n)
        for factor, levels in base.items()
        for level, found in levels.items()
    ]
    columns = (Column("by"), Column("level"), BASE, VARIANT, Column("n", "count"))
    caption = "Accuracy on boxes with 1 or more operations, by other factors."
    return Table(f"{panel.name}-factors", caption, columns, tuple(rows))


def name_pair(found: Comparison) -> str:
    pair = found.pair
    kind = f"{pair.control} control" if pair.control else pair.hypothesis.lower()
    return f"{pair.base} → {pair.variant} ({kind})"


def short_bucket(bucket: str) -> str:
    return bucket.removeprefix("ops").replace("1plus", "1+")


def answers(results: Results) -> Table:
    """The number of answers of each form and of boxes with each kind of error. No column is empty."""
    found = results.evaluations.values()
    columns: dict[Column, list[object]] = {Column("model"): list(results.evaluations)}
    for form in ANSWER_FORMS:
        columns[Column(f"answers {form}", "count")] = [one.forms.get(form, 0) for one in found]
    for kind in ERROR_KINDS:
        counts = [sum(score.error == kind for score in one.scores) for one in found]
        columns[Column(f"boxes {kind}", "count")] = list(counts)
    tokens = [round(mean(one.thinking.values())) if one.thinking else None for one in found]
    columns[Column("mean tokens of thinking", "count")] = list(tokens)
    columns[Column("engine")] = [one.engine for one in found]
    columns[Column("warning")] = [warning_of(one) for one in found]
    shown = {column: cells for column, cells in columns.items() if any(cells)}
    caption = (
        "An answer states all boxes. It is whole, cut at the token limit, malformed, or missing because the "
        "model's thinking did not end (unfinished). "
        "A wrong box is stale (an earlier state), missing or extra (objects), other, or unread."
    )
    return Table("answers", caption, tuple(shown), tuple(zip(*shown.values(), strict=True)))


def warning_of(found: Evaluation) -> str:
    """The audit's warning about a model's prompts."""
    metadata = found.run.get("metadata")
    return str(metadata.get("warning") or "") if isinstance(metadata, dict) else ""


def headline(regression: Regression) -> str:
    """One sentence on the changes since the baseline. It names every model that got worse."""
    counted = f"{regression.answers:,} answers, {regression.different:,} different"
    lost = f" {', '.join(regression.unmeasured)} could not be measured." if regression.unmeasured else ""
    if regression.worse:
        worse = "; ".join(
            f"{change.model} got worse at {short_bucket(change.bucket)}: "
            f"{signed_interval(change.difference)} points, margin {100 * change.margin:.1f}"
            for change in regression.worse
        )
        return f"Since {regression.baseline}, {worse} ({counted}).{lost}"
    if regression.different or not regression.answers:
        return f"No model got worse since {regression.baseline}: {counted}.{lost}"
    return f"Nothing changed since {regression.baseline}: {counted}.{lost}"


def changes_table(regression: Regression) -> Table:
    """One row per model and bucket."""
    rows = [
        (
            change.model, short_bucket(change.bucket), change.before, change.now, change.difference,
            "worse" if change.worse else "not worse", change.now.n, change.margin,
        )
        for change in regression.changes
    ]  # fmt: skip
    columns = (
        Column("model"), Column("ops"), Column(regression.baseline, "interval"), Column("now", "interval"),
        Column("change", "gain"), Column("result"), Column("n", "count"), Column("margin", "share"),
    )  # fmt: skip
    main = frozenset(n for n, change in enumerate(regression.changes) if change.worse)
    caption = f"Accuracy in percent now and in {regression.baseline}, with 95% intervals."
    return Table("since", caption, columns, tuple(rows), main=main)


def metadata(results: Results) -> Table:
    rows = tuple((key, str(value)) for key, value in results.metadata.items())
    return Table("metadata", "", (Column("what"), Column("value")), rows)
