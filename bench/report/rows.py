"""Evaluation, Plan -> one row per query: the prompt, the right contents, the answer."""

from __future__ import annotations

from collections.abc import Iterator

from bench.records import Evaluation
from bench.run.evaluate import read
from bench.run.plans import Plan
from bench.task.prompts import as_text, turns
from bench.task.wording import name_objects


def rows(evaluation: Evaluation, plan: Plan, *, released: bool = True) -> Iterator[dict[str, object]]:
    """The queries of each example, box by box. answer: the contents as read, None if not readable.

    prompt: the turns as plain text. A chat model got the same turns under its own template. The prompt is
    None for released data unless released is True, because its authors ask to keep it out of repositories.
    """
    scores = {(score.example_id, score.box): score for score in evaluation.scores}
    hidden = plan.dataset.startswith("release:") and not released
    for example in plan.examples:
        completion = evaluation.completions[example.id]
        answer, _ = read(completion, example, plan)
        prompt = None if hidden else as_text(turns(example, plan.protocol))
        for query, contents in zip(example.queries, answer.boxes, strict=True):
            score = scores[example.id, query.box]
            yield {
                "model": evaluation.model,
                "run": plan.run_id,
                "example": example.id,
                "scenario": example.scenario_id,
                "box": query.box,
                "num_ops": query.num_ops,
                "bucket": f"ops{query.num_ops}",
                "prompt": prompt,
                "completion": completion.text,
                "gold": name_objects(query.target),
                "answer": None if contents is None else name_objects(contents),
                "correct": score.correct,
                "error": score.error,
            }
