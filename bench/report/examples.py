"""Results, examples -> every question of a run with its answers, packed for the page or as rows."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator, Mapping, Sequence

from bench.records import Evaluation, Example, Results
from bench.report.panels import section_of
from bench.run.evaluate import read
from bench.run.plans import Plan
from bench.scoring.answers import statements
from bench.task.prompts import as_text, gold_statement, turns
from bench.task.wording import WORDINGS, name_objects
from bench.text import printable

Errors = Mapping[tuple[str, int], str]  # by example id and box; "" for a right box


def pack(results: Results, examples: Sequence[Example]) -> str:
    """Every example as gzip in base64; "" without examples. The same answers give the same text.

    examples is a list of [id, description, right answer, boxes, answers]. A box is [num_ops, last change,
    numbers of the operations that changed it, contents]. An answer is [text, kind of error per box, clause
    per box, thinking]. A right box has "" for the error and the clause.
    """
    if not (examples and results.evaluations):
        return ""
    errors = {
        name: {(score.example_id, score.box): score.error or "" for score in found.scores}
        for name, found in results.evaluations.items()
    }
    pairs = dict.fromkeys(verdict.comparison.pair for verdict in results.verdicts)
    wording = WORDINGS[examples[0].version]
    table = {
        "models": list(errors),
        "pairs": [[f"{section_of(pair)}-{pair.id}", pair.base, pair.variant] for pair in pairs],
        "names": [wording.name_box(query.box) for query in examples[0].queries],
        "examples": [pack_example(example, results, errors) for example in examples],
    }
    text = json.dumps(table, separators=(",", ":"), ensure_ascii=False)
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


def pack_example(example: Example, results: Results, errors: Mapping[str, Errors]) -> list[object]:
    boxes = [
        [query.num_ops, query.last or "", query.changed_by, name_objects(query.target)]
        for query in example.queries
    ]
    answers = [pack_answer(example, results, name, of_model) for name, of_model in errors.items()]
    return [example.id, example.description, gold_statement(example), boxes, answers]


def pack_answer(example: Example, results: Results, name: str, errors: Errors) -> list[object]:
    """One model's answer as in `pack`: text, errors, the clauses of wrong boxes, thinking.

    Log-probabilities are left out: they are for programs.
    """
    evaluation = results.evaluations[name]
    completion = evaluation.completions[example.id]
    noted = evaluation.thinking or results.metadata.get("metric") == "logprob"
    text = completion.answer if noted else completion.text
    thinking = completion.notes if evaluation.thinking else ""
    kinds = [errors[example.id, query.box] for query in example.queries]
    said = statements(text, example.version, len(kinds))
    wrong = [printable(clause or "") if kind else "" for clause, kind in zip(said, kinds, strict=True)]
    return [printable(text), kinds, wrong, printable(thinking)]


def rows(evaluation: Evaluation, plan: Plan, *, released: bool = True) -> Iterator[dict[str, object]]:
    """The queries of each example, box by box. answer: the contents as read, None if not readable.

    prompt: the turns as plain text. A chat model got the same turns under its own template. The prompt is
    None for released data unless released is True, because its authors ask to keep it out of repositories.
    """
    scores = {(score.example_id, score.box): score for score in evaluation.scores}
    hidden = plan.is_released and not released
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
