"""Evaluation, examples -> one row a query: what was asked, what was right, what was answered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.records import Evaluation, Example
from bench.scoring.answers import statements
from bench.task.prompts import Protocol, as_text, turns
from bench.task.wording import name_objects


def rows(
    evaluation: Evaluation, examples: Sequence[Example], protocol: Protocol
) -> Iterator[dict[str, object]]:
    """The queries of each example, box by box. answer: the contents as stated, None if not readable.

    prompt: the turns as plain text. A chat model was given the same turns under its own template.
    """
    scores = {(score.example_id, score.box): score for score in evaluation.scores}
    for example in examples:
        completion = evaluation.completions[example.id].text
        stated = statements(completion, example.version, len(example.queries))
        prompt = as_text(turns(example, protocol))
        for query, answer in zip(example.queries, stated, strict=True):
            score = scores[example.id, query.box]
            yield {
                "model": evaluation.model,
                "example": example.id,
                "scenario": example.scenario_id,
                "box": query.box,
                "num_ops": query.num_ops,
                "bucket": f"ops{query.num_ops}",
                "prompt": prompt,
                "completion": completion,
                "gold": name_objects(query.target),
                "answer": answer,
                "correct": score.correct,
                "error": score.error,
            }
