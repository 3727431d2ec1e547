"""Results, examples -> the questions behind a case: where just one model of a pair is right."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from bench.records import BUCKETS, Completion, Example, Pair, Query, Results, Score, in_bucket
from bench.scoring.answers import clauses
from bench.task.prompts import gold_statement
from bench.task.wording import WORDINGS

MOST = 560  # examples on a page, over all cases: about 1.2 MB
MOST_OF_A_CASE = 8


@dataclass(frozen=True, slots=True)
class Shown:
    """An example of a case, and the first box of its bucket on which just one of the two models is right."""

    pair: Pair
    bucket: str
    example: Example
    query: Query
    gold: str
    base: Completion
    variant: Completion
    right: str  # "base" or "variant"

    def said(self, completion: Completion) -> str:
        """What a model says of the box."""
        opening = WORDINGS[self.example.version].describe_box(0, ()).removesuffix(" nothing")
        said = clauses(completion.text, len(self.example.queries), opening)[self.query.box]
        return said or "(not readable)"


def shown_examples(results: Results, examples: Sequence[Example]) -> tuple[list[Shown], int]:
    """Examples evenly spread over each case, and how many there are in all."""
    pairs = list(dict.fromkeys(verdict.comparison.pair for verdict in results.verdicts)) if examples else []
    cases = [(pair, bucket) for pair in pairs for bucket in BUCKETS[:-1]]
    most = max(1, min(MOST_OF_A_CASE, MOST // max(1, len(cases))))
    right = {name: right_queries(evaluation.scores) for name, evaluation in results.evaluations.items()}
    found, total = [], 0
    for pair, bucket in cases:
        differing = right[pair.base] ^ right[pair.variant]
        behind = list(behind_case(examples, bucket, differing))
        total += len(behind)
        if len(behind) > most:
            behind = [behind[index * len(behind) // most] for index in range(most)]
        found += [show(results, pair, bucket, *asked, right[pair.base]) for asked in behind]
    return found, total


def right_queries(scores: Sequence[Score]) -> set[tuple[str, int]]:
    """(example id, box) of every query that is answered right."""
    return {(score.example_id, score.box) for score in scores if score.correct}


def behind_case(
    examples: Sequence[Example], bucket: str, differing: Collection[tuple[str, int]]
) -> Iterator[tuple[Example, Query]]:
    """Each example's first query of the bucket on which just one model is right, in the order of the data."""
    for example in examples:
        for query in example.queries:
            if (example.id, query.box) in differing and in_bucket(query.num_ops, bucket):
                yield example, query
                break


def show(
    results: Results,
    pair: Pair,
    bucket: str,
    example: Example,
    query: Query,
    right: Collection[tuple[str, int]],
) -> Shown:
    """right: the queries that the base has right."""
    base, variant = (results.evaluations[name].completions[example.id] for name in (pair.base, pair.variant))
    which = "base" if (example.id, query.box) in right else "variant"
    return Shown(pair, bucket, example, query, gold_statement(example), base, variant, which)
