"""Results, a saved run ("night") -> Regression: the changes, and whether a model got worse.

In an unchanged environment greedy answers stay the same, so every changed query ("flip") is listed first. A
model got worse if the interval of this run minus the baseline lies below minus the margin. An improvement
never fails.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated

import msgspec

from bench.inputs import InputError
from bench.records import Accuracy, Difference, ErrorKind, Evaluation, Results, Score, in_bucket
from bench.run.plans import PACKAGES
from bench.scoring.stats import clustered_accuracy, clustered_difference

MEASURED_WORSE, NOT_MEASURED = 10, 11  # exit statuses; pytest uses 0 to 5
SAME = ("protocol", "data set", "version of the task")  # metadata that must be equal in both runs
ENVIRONMENT = ("device", "python", "system", *PACKAGES)
MARGINS = {  # for small buckets: the smallest difference that 500 scenarios detect with 80% power
    "ops0": 0.03, "ops1": 0.044, "ops2": 0.047, "ops3": 0.055, "ops4": 0.08,
    "ops5": 0.106, "ops6": 0.122, "ops7": 0.237, "ops1plus": 0.03,
}  # fmt: skip
LETTERS: dict[ErrorKind | None, str] = {
    None: ".", "stale": "s", "missing": "m", "extra": "e", "other": "o", "unread": "u",
}  # fmt: skip
Share = Annotated[float, msgspec.Meta(ge=-1, le=1)]
KINDS = {letter: kind for kind, letter in LETTERS.items()}


@dataclass(frozen=True, slots=True)
class SavedModel:
    """One model of a saved night. answers: one letter of LETTERS per query, by example id and box."""

    answers: str
    accuracies: Mapping[str, Accuracy]
    fingerprint: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class SavedGain:
    """Variant minus base at 1+, with the interval of its test and the finding."""

    value: Share
    low: Share
    high: Share
    outcome: str


@dataclass(frozen=True, slots=True)
class Night:
    """A saved run: all that a comparison needs, with one line of letters per model.

    gains: by id of the pair. name: the user's name for the run.
    """

    metadata: Mapping[str, object]
    models: Mapping[str, SavedModel]
    gains: Mapping[str, SavedGain] = field(default_factory=dict)
    name: str = ""

    @property
    def run(self) -> str:
        return str(self.metadata["run"])


@dataclass(frozen=True, slots=True)
class Flip:
    """A query with a changed result. score: the new score. was: the earlier error, None if it was right."""

    model: str
    score: Score
    was: ErrorKind | None


@dataclass(frozen=True, slots=True)
class Change:
    """This run minus the baseline, for one model on one bucket."""

    model: str
    bucket: str
    before: Accuracy
    now: Accuracy
    difference: Difference
    margin: float

    @property
    def worse(self) -> bool:
        return self.difference.high < -self.margin


@dataclass(frozen=True, slots=True)
class Regression:
    """This run compared with a baseline. baseline: the user's name for it.

    answers: number of compared answers. different: number of answers with a changed box. unmeasured: models
    of the baseline that could not be measured, with the reason. environment: other differences, as (then,
    now).
    """

    baseline: str
    answers: int
    different: int
    changes: tuple[Change, ...]
    flips: tuple[Flip, ...]
    unmeasured: Mapping[str, str]
    environment: Mapping[str, tuple[str, str]]

    @property
    def worse(self) -> list[Change]:
        return [change for change in self.changes if change.worse]

    @property
    def exit_status(self) -> int:
        return MEASURED_WORSE if self.worse else NOT_MEASURED if self.unmeasured else 0


def compare_nights(results: Results, baseline: Night, asked: Iterable[str] = ()) -> Regression:
    """Compare this run's models with the same models in the baseline.

    asked: the models that this run should measure. Models without results count as not measured.
    Raises ValueError for a baseline with another protocol or data.
    """
    check_compatible(baseline, results.metadata)
    common = [name for name in results.evaluations if name in baseline.models]
    missing = [name for name in asked if name in baseline.models and name not in results.evaluations]
    changed = [f for name in common for f in flips(results.evaluations[name], baseline.models[name])]
    return Regression(
        baseline.name or baseline.run,
        sum(len({score.example_id for score in results.evaluations[name].scores}) for name in common),
        len({(flip.model, flip.score.example_id) for flip in changed}),
        tuple(found for name in common for found in changes(results, baseline, name)),
        tuple(changed),
        {name: results.skipped.get(name, "no reason was reported") for name in missing},
        environment_changes(results, baseline, common),
    )


def check_compatible(baseline: Night, metadata: Mapping[str, object]) -> None:
    """Raises InputError that names the part in which baseline and run differ."""
    name = baseline.name or baseline.run
    for part in SAME:
        if str(baseline.metadata.get(part)) != str(metadata.get(part)):
            raise InputError(
                f"the baseline {name} has another {part}: {baseline.metadata.get(part)}, "
                f"but this run has {metadata.get(part)}. Run with the same, or save a run and make it the "
                "baseline: python -m bench baseline-update."
            )
    for model, saved in baseline.models.items():
        check_length(baseline, model, metadata.get("queries", len(saved.answers)))


def check_length(baseline: Night, model: str, queries: object) -> None:
    name, answers = baseline.name or baseline.run, len(baseline.models[model].answers)
    if str(answers) != str(queries):
        raise InputError(
            f"the baseline {name} has {answers} answers of {model}, but "
            f"this run asks {queries} queries. Save a run and update the baseline."
        )


def changes(results: Results, baseline: Night, model: str) -> list[Change]:
    """One model on every bucket."""
    scores, saved = by_query(results.evaluations[model].scores), baseline.models[model]
    check_length(baseline, model, len(scores))
    found = []
    for bucket, now in results.accuracies[model].items():
        pairs = [
            pair for pair in zip(scores, saved.answers, strict=True) if in_bucket(pair[0].num_ops, bucket)
        ]
        scenarios = [score.scenario_id for score, _ in pairs]
        difference = clustered_difference(
            [float(score.correct) - float(KINDS[was] is None) for score, was in pairs], scenarios
        )
        before = clustered_accuracy([KINDS[was] is None for _, was in pairs], scenarios)
        found.append(Change(model, bucket, before, now, difference, MARGINS[bucket]))
    return found


def flips(evaluation: Evaluation, saved: SavedModel) -> list[Flip]:
    """The queries whose result changed: right or wrong, or the kind of error."""
    return [
        Flip(evaluation.model, score, KINDS[was])
        for score, was in zip(by_query(evaluation.scores), saved.answers, strict=True)
        if KINDS[was] != score.error
    ]


def environment_changes(
    results: Results, baseline: Night, models: Collection[str]
) -> dict[str, tuple[str, str]]:
    """Other differences: machine, packages, and the fields of each model's fingerprint."""
    found = differences(baseline.metadata, results.metadata, ENVIRONMENT)
    for name in models:
        before, now = baseline.models[name].fingerprint, results.evaluations[name].fingerprint
        parts = differences(before, now, dict.fromkeys([*before, *now]))
        found |= {f"{name}: {part}": change for part, change in parts.items()}
    return found


def differences(
    before: Mapping[str, object], now: Mapping[str, object], keys: Iterable[str]
) -> dict[str, tuple[str, str]]:
    texts = {key: (str(before.get(key, "not recorded")), str(now.get(key, "not recorded"))) for key in keys}
    return {key: (then, now) for key, (then, now) in texts.items() if then != now}


def night_of(results: Results) -> Night:
    """The part of a run's results that is saved."""
    return Night(
        {key: str(value) for key, value in results.metadata.items()},
        {
            name: SavedModel(
                "".join(LETTERS[score.error] for score in by_query(evaluation.scores)),
                results.accuracies[name],
                evaluation.fingerprint,
            )
            for name, evaluation in results.evaluations.items()
        },
        {
            verdict.comparison.pair.id: SavedGain(gain.value, gain.low, gain.high, verdict.outcome)
            for verdict in results.verdicts
            if verdict.comparison.bucket == "ops1plus"
            for gain in [verdict.comparison.difference]
        },
    )


def by_query(scores: Iterable[Score]) -> list[Score]:
    """The scores in the order of a night's answers."""
    return sorted(scores, key=lambda score: (score.example_id, score.box))
