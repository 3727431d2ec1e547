"""Answer, targets -> scores. Scores -> errors by kind, accuracy by other factors, the cost of a sentence.

The metric logprob has no answer in words: `read_choice` takes the likeliest clause of each box.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

import numpy as np

from bench.records import (
    Accuracy,
    Answer,
    Completion,
    Contents,
    Difference,
    ErrorKind,
    Evaluation,
    Example,
    Query,
    Score,
    by_bucket,
    in_bucket,
)
from bench.scoring.stats import accuracy_of, clustered_accuracy, clustered_difference
from bench.task.probes import MinimalPair
from bench.task.prompts import choices

ERROR_KINDS: tuple[ErrorKind, ...] = ("stale", "missing", "extra", "other", "unread")
LAST_CHANGES = ("put", "move in", "move out", "remove")
FACTORS: Mapping[str, Callable[[Example, Query], object]] = {
    "last operation": lambda example, query: query.last,
    "objects in the box": lambda example, query: len(query.target),
    "operations in the text": lambda example, query: example.num_operations,
    "box": lambda example, query: query.box,
}
Margins = list[float]  # per box, in nats: log-probability of the true clause minus the best other clause


def score(example: Example, answer: Answer) -> list[Score]:
    """One score per box. A box is right if the answer states exactly its objects, in any order."""
    return [
        Score(example.id, example.scenario_id, query.box, query.num_ops, error_kind(query, stated))
        for query, stated in zip(example.queries, answer.boxes, strict=True)
    ]


def error_kind(query: Query, stated: Contents | None) -> ErrorKind | None:
    """The kind of error; None if right. "stale" means earlier contents. An unread box counts as wrong."""
    if stated is None:
        return "unread"
    if stated == query.target:
        return None
    if stated in query.earlier:
        return "stale"
    if stated < query.target:
        return "missing"
    return "extra" if stated > query.target else "other"


def accuracy_by_factor(evaluation: Evaluation, examples: Iterable[Example]) -> dict[str, dict[str, Accuracy]]:
    """Accuracy at 1+ by factor and level. Levels without a query are left out."""
    scores = {(score.example_id, score.box): score for score in evaluation.scores if score.num_ops}
    asked = [
        (example, query, scores[example.id, query.box])
        for example in examples
        for query in example.queries
        if (example.id, query.box) in scores
    ]
    return {factor: by_level(asked, level_of) for factor, level_of in FACTORS.items()}


def by_level(
    asked: Sequence[tuple[Example, Query, Score]], level_of: Callable[[Example, Query], object]
) -> dict[str, Accuracy]:
    grouped: dict[object, list[Score]] = defaultdict(list)
    for example, query, score in asked:
        grouped[level_of(example, query)].append(score)
    order = [
        *LAST_CHANGES,
        *range(1 + max((level for level in grouped if isinstance(level, int)), default=0)),
    ]
    return {str(level): accuracy_of(grouped[level], "ops1plus") for level in order if level in grouped}


def count_errors(scores: Iterable[Score], bucket: str) -> Counter[ErrorKind | None]:
    """The number of queries in a bucket with each kind of error. The key None counts right answers."""
    return Counter(score.error for score in scores if in_bucket(score.num_ops, bucket))


def read_choice(completion: Completion, example: Example) -> tuple[Answer, Margins]:
    """The likeliest contents of each box. In a tie, the first clause wins."""
    logprobs = json.loads(completion.notes)
    boxes = [
        found[max(range(len(found)), key=scored.__getitem__)]
        for found, scored in zip(choices(example), logprobs, strict=True)
    ]
    return Answer(tuple(boxes), "whole"), [
        scored[0] - max(scored[1:], default=scored[0]) for scored in logprobs
    ]


def mean_margins(scores: Sequence[Score], margins: Mapping[str, Margins]) -> dict[str, float]:
    """Mean margin of each bucket with queries. margins: by example id."""
    found = by_bucket((score.num_ops, margins[score.example_id][score.box]) for score in scores)
    return {bucket: mean(values) for bucket, values in found.items()}


@dataclass(frozen=True, slots=True)
class Cost:
    """Accuracy on some boxes with and without the critical sentence, and the difference."""

    with_sentence: Accuracy
    without: Accuracy
    difference: Difference


def cost_of(scores: Sequence[Score], pairs: Sequence[MinimalPair]) -> dict[str, Cost]:
    """The effect of the sentence on the box that it may hide, on the other named box, and on all others."""
    right = {(score.example_id, score.box): score.correct for score in scores}
    boxes: dict[str, list[tuple[MinimalPair, int]]] = {"critical box": [], "named box": [], "other boxes": []}
    for pair in pairs:
        kinds = {pair.named: "named box", pair.box: "critical box"}
        for query in pair.control.queries:
            boxes[kinds.get(query.box, "other boxes")].append((pair, query.box))
    found = {}
    for kind, chosen in boxes.items():
        if not chosen:
            continue
        scenarios = [pair.control.scenario_id for pair, _ in chosen]
        after = [right[pair.critical.id, box] for pair, box in chosen]
        before = [right[pair.control.id, box] for pair, box in chosen]
        difference = clustered_difference(np.subtract(after, before, dtype=float), scenarios)
        with_sentence, without = (clustered_accuracy(side, scenarios) for side in (after, before))
        found[kind] = Cost(with_sentence, without, difference)
    return found
