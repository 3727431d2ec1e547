"""Results -> Markdown: the accuracy tables, the verdicts, and how the run was made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from bench.proportions import ALPHA
from bench.records import (
    BUCKETS,
    Accuracy,
    Comparison,
    Difference,
    ErrorKind,
    Gate,
    Outcome,
    Pooled,
    Results,
    Verdict,
)
from bench.scoring.pooling import pool_all
from bench.scoring.stats import agreement_p
from bench.scoring.verdicts import show_p
from bench.text import inert, printable

COUNTS_NOTE = (
    "From counts: which answers came from one scenario is unknown, so the intervals are too narrow if "
    "answers cluster. The last columns say whether a finding holds under a design effect of 1.4, as the "
    "embedded models have, and of 2."
)
HEADINGS = {"code": "Code", "math": "Math", "alignment": "Alignment"}
PAIR_NOTE = (
    "Brackets after an accuracy are its 95% interval. Brackets after a difference are the interval of its "
    "test: it excludes 0 just where p is below 5%. p is two-sided, and adjusted where `tests` is above 1: "
    "over the pairs of the hypothesis at 1+ (Holm), over the buckets 1 to 7 of the pair (Benjamini-Hochberg, "
    "exploratory)."
)
ANSWER_FORMS = ("whole", "cut", "malformed")
ERROR_KINDS: tuple[ErrorKind, ...] = ("stale", "missing", "extra", "other", "unread")
ANSWER_COLUMNS = ["model", *ANSWER_FORMS, *(f"boxes {kind}" for kind in ERROR_KINDS), "engine"]


class Ours(str):
    """Markdown that this module wrote. All other text is made inert."""


def markdown(results: Results) -> str:
    """The whole report."""
    findings = [verdict for verdict in results.verdicts if verdict.comparison.pair.control is None]
    controls = [verdict for verdict in results.verdicts if verdict.comparison.pair.control is not None]
    parts = [
        "# Entity tracking: does further training help?",
        *pooled_lines(pool_all(findings)),
        *verdict_lines(findings),
        "## Accuracy by number of operations on the box (percent)",
        accuracy_table(results.accuracies, results.baseline, results.over_random),
        "Right answers in percent of all boxes asked about; `1+` pools every box that some operation changed."
        " **Bold**: above random guessing, adjusted over the buckets of the model (Holm).",
        *published_section(results),
        "## The pairs",
        PAIR_NOTE,
        *pair_sections(findings),
    ]
    if controls:
        parts += [
            "## Controls: does the instrument work?",
            "They check the benchmark. The positive one must be better at 1+, the negative one must not.",
            *verdict_lines(controls),
            *pair_sections(controls),
        ]
    if results.skipped:
        parts += ["## Not run", bullet_list(map(inert, skip_lines(results.skipped)))]
    parts += [
        "## The answers",
        answers_table(results),
        "## How it was run",
        metadata_table(results.metadata),
    ]
    return "\n\n".join(parts) + "\n"


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
) -> str:
    """A row a model, a column a bucket; then guessing, queries, scenarios, the largest design effect."""
    buckets = [bucket for bucket in BUCKETS if bucket in baseline]
    rows = [
        [model, *(cell(found[bucket], (over_random or {}).get(model, {}).get(bucket)) for bucket in buckets)]
        for model, found in accuracies.items()
    ]
    rows.append(["random baseline", *(f"{100 * baseline[bucket]:.1f}" for bucket in buckets)])
    for found in list(accuracies.values())[:1]:  # the same for every model
        rows.append(["n", *(str(found[bucket].n) for bucket in buckets)])
        if any(found[bucket].scenarios for bucket in buckets):
            rows.append(["scenarios", *(str(found[bucket].scenarios) for bucket in buckets)])
            largest = (max(found[b].design_effect for found in accuracies.values()) for b in buckets)
            rows.append(["largest design effect", *(f"{effect:.2f}" for effect in largest)])
    return table(rows, ["model", *map(short_bucket, buckets)])


def cell(observed: Accuracy, gate: Gate | None) -> str:
    text = f"{100 * observed.value:.1f}"
    return Ours(f"**{text}**") if gate and gate.standing == "above" else text


def published_section(results: Results) -> list[str]:
    """This run's accuracies beside the published ones of the same models, where there are any."""
    known = [model for model in results.accuracies if model in results.published]
    if not known:
        return []
    rows = []
    for model in known:
        live, told = results.accuracies[model], results.published[model]
        buckets = [bucket for bucket in BUCKETS if bucket in results.baseline]
        rows.append([model, *(cell(live[bucket], None) for bucket in buckets)])
        rows.append(["as published", *(beside(told.get(bucket), live[bucket]) for bucket in buckets)])
    return [
        "## Beside the published figures (percent)",
        table(rows, ["model", *map(short_bucket, buckets)]),
        "≠: the two differ (two-sided p below 5%, not adjusted; the design effect is taken for ours).",
    ]


def beside(told: Accuracy | None, live: Accuracy) -> str:
    if told is None:
        return ""
    return cell(told, None) + (" ≠" if agreement_p(live, told) < ALPHA else "")


def figures_of(verdict: Verdict) -> list[tuple[str, str]]:
    """A case's figures by name, as JUnit XML keeps them."""
    found = verdict.comparison
    shares = {
        "base_accuracy": found.base.value,
        "variant_accuracy": found.variant.value,
        "random_baseline": found.baseline,
        "difference": found.difference.value,
        "difference_low": found.difference.low,
        "difference_high": found.difference.high,
        "p_adjusted": found.p_adjusted,
    }
    return [
        ("outcome", verdict.outcome),
        ("n", str(found.base.n)),
        *((name, f"{share:.6f}") for name, share in shares.items()),
    ]


def pair_sections(verdicts: Sequence[Verdict]) -> list[str]:
    """A heading and a table a pair."""
    by_pair: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        by_pair.setdefault(name_pair(verdict.comparison), []).append(verdict)
    return [part for name, found in by_pair.items() for part in (f"### {name}", pair_table(found))]


def pair_table(verdicts: Sequence[Verdict]) -> str:
    """A row a bucket: both models, the baseline, the difference and the verdict."""
    base, variant = verdicts[0].comparison.pair.base, verdicts[0].comparison.pair.variant
    rows = [
        [
            short_bucket(found.bucket),
            str(found.base.n),
            *([str(found.scenarios), design_effects(found)] if found.paired else []),
            f"{100 * found.baseline:.1f}",
            with_interval(found.base),
            with_interval(found.variant),
            signed_interval(found.difference),
            Ours(show_p(found.p_adjusted)),
            str(found.tests),
            verdict.outcome,
            *(held(verdict, outcome) for _, outcome in verdict.if_clustered),
        ]
        for verdict in verdicts
        for found in [verdict.comparison]
    ]
    clustering = ["scenarios", "design effect"] if verdicts[0].comparison.paired else []
    assumed = [f"at design effect {effect:g}" for effect, _ in verdicts[0].if_clustered]
    columns = ["ops", "n", *clustering, "random", base, variant, "variant - base", "p", "tests", "finding"]
    return table(rows, [*columns, *assumed])


def held(verdict: Verdict, outcome: Outcome) -> str:
    """Whether a finding stands under another assumption, and what is found if not."""
    return "holds" if outcome == verdict.outcome else outcome


def design_effects(found: Comparison) -> str:
    """Of base and variant."""
    return f"{found.base.design_effect:.2f}, {found.variant.design_effect:.2f}"


def name_pair(found: Comparison) -> str:
    pair = found.pair
    kind = f"{pair.control} control" if pair.control else HEADINGS[pair.hypothesis].lower()
    return f"{pair.base} → {pair.variant} ({kind})"


def short_bucket(bucket: str) -> str:
    return bucket.removeprefix("ops").replace("1plus", "1+")


def with_interval(found: Accuracy) -> str:
    return f"{100 * found.value:.1f} [{100 * found.low:.1f}, {100 * found.high:.1f}]"


def signed_interval(found: Difference) -> str:
    return f"{100 * found.value:+.1f} [{100 * found.low:+.1f}, {100 * found.high:+.1f}]"


def answers_table(results: Results) -> str:
    return table(answers_rows(results), ANSWER_COLUMNS)


def answers_rows(results: Results) -> list[list[str]]:
    """How each model's answers came out: whole, cut or malformed; and what kind of errors they hold."""
    rows = []
    for model, evaluation in results.evaluations.items():
        errors = Counter(score.error for score in evaluation.scores)
        forms = [evaluation.forms.get(form, 0) for form in ANSWER_FORMS]
        rows.append(
            [model, *map(str, forms), *(str(errors[kind]) for kind in ERROR_KINDS), evaluation.engine]
        )
    return rows


def metadata_table(metadata: Mapping[str, object]) -> str:
    return table([[key, str(value)] for key, value in metadata.items()], ["what", "value"])


def table(rows: Sequence[Sequence[str]], columns: Sequence[str]) -> str:
    """Markdown; a cell of others cannot break the table."""
    clean = [[cell if isinstance(cell, Ours) else inert(cell) for cell in row] for row in rows]
    return pd.DataFrame(clean, columns=list(columns)).to_markdown(index=False, disable_numparse=True)
