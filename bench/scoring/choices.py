"""Completion of the metric logprob -> Answer, and the lead of each true clause."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from statistics import mean

from bench.records import BUCKETS, Answer, Completion, Example, Score, in_bucket
from bench.task.prompts import choices

Margins = list[float]  # per box, in nats: log-probability of the true clause minus the best other clause


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


def chance(evaluated: Iterable[Example]) -> dict[str, float]:
    """The expected accuracy of a random choice in each bucket that has queries."""
    found: dict[str, list[float]] = {bucket: [] for bucket in BUCKETS}
    for example in evaluated:
        for query, clauses in zip(example.queries, choices(example), strict=True):
            for bucket in BUCKETS:
                if in_bucket(query.num_ops, bucket):
                    found[bucket].append(1 / len(clauses))
    return {bucket: mean(values) for bucket, values in found.items() if values}


def mean_margins(scores: Sequence[Score], margins: Mapping[str, Margins]) -> dict[str, float]:
    """Mean margin of each bucket with queries. margins: by example id."""
    found = {
        bucket: [margins[one.example_id][one.box] for one in scores if in_bucket(one.num_ops, bucket)]
        for bucket in BUCKETS
    }
    return {bucket: mean(values) for bucket, values in found.items() if values}
