"""Results, examples -> the questions behind a case: where just one model of a pair is right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.answers import clauses
from bench.boxes.wording import WORDINGS
from bench.prompts import gold_statement
from bench.records import BUCKETS, Completion, Example, Pair, Query, Results, Score, in_bucket

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
    found, total = [], 0
    for pair, bucket in cases:
        behind = list(behind_case(results, examples, pair, bucket))
        total += len(behind)
        found += (
            [behind[index * len(behind) // most] for index in range(most)] if len(behind) > most else behind
        )
    return found, total


def behind_case(results: Results, examples: Sequence[Example], pair: Pair, bucket: str) -> Iterator[Shown]:
    """One entry an example, in the order of the data."""
    base, variant = (scores_by_query(results.evaluations[name].scores) for name in (pair.base, pair.variant))
    base_texts, variant_texts = (results.evaluations[name].completions for name in (pair.base, pair.variant))
    for example in examples:
        for query in example.queries:
            asked = (example.id, query.box)
            if in_bucket(query.num_ops, bucket) and base[asked].correct != variant[asked].correct:
                right = "base" if base[asked].correct else "variant"
                gold = gold_statement(example)
                texts = base_texts[example.id], variant_texts[example.id]
                yield Shown(pair, bucket, example, query, gold, *texts, right)
                break


def scores_by_query(scores: Sequence[Score]) -> Mapping[tuple[str, int], Score]:
    return {(score.example_id, score.box): score for score in scores}
