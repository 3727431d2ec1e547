"""Answer, targets -> scores. Scores -> number of errors of each kind, and accuracy by other factors."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from bench.records import Accuracy, Answer, Contents, ErrorKind, Evaluation, Example, Query, Score, in_bucket
from bench.scoring.stats import accuracy_of

ERROR_KINDS: tuple[ErrorKind, ...] = ("stale", "missing", "extra", "other", "unread")
LAST_CHANGES = ("put", "move in", "move out", "remove")
FACTORS: Mapping[str, Callable[[Example, Query], object]] = {
    "last operation": lambda example, query: query.last,
    "objects in the box": lambda example, query: len(query.target),
    "operations in the text": lambda example, query: example.num_operations,
    "box": lambda example, query: query.box,
}


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
