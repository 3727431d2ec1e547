"""Answer, targets -> scores; what kind of error a wrong answer is."""

from __future__ import annotations

from bench.records import Answer, Contents, ErrorKind, Example, Query, Score


def score(example: Example, answer: Answer) -> list[Score]:
    """One score a box. A box is right when the set of its objects is the true one, in any order."""
    return [
        Score(example.id, example.scenario_id, query.box, query.num_ops, error_kind(query, stated))
        for query, stated in zip(example.queries, answer.boxes, strict=True)
    ]


def error_kind(query: Query, stated: Contents | None) -> ErrorKind | None:
    """None if right. "stale" is what the box held before; a box not read is wrong, never dropped."""
    if stated is None:
        return "unread"
    if stated == query.target:
        return None
    if stated in query.earlier:
        return "stale"
    if stated < query.target:
        return "missing"
    return "extra" if stated > query.target else "other"
