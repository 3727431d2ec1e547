"""A run of two models on made-up answers, small enough to check by hand."""

from __future__ import annotations

import pytest

from bench.records import BUCKETS, Completion, Contents, Evaluation, Example, Pair, Results, Scenario, Score
from bench.run.session import accuracies
from bench.scoring.scores import accuracy_by_factor
from bench.scoring.stats import gates
from bench.scoring.verdicts import compare, judge
from bench.task.examples import examples
from bench.task.prompts import SHOTS, STATEMENT
from bench.task.wording import WORDINGS

PAIR = Pair("code", "before", "after")


def evaluation(name: str, asked: list[Example], wrong: Contents, wrong_from: int) -> Evaluation:
    """A model that is wrong on every box with at least this number of operations."""
    completions, scores = {}, []
    for example in asked:
        said = [wrong if query.num_ops >= wrong_from else query.target for query in example.queries]
        text = STATEMENT + WORDINGS["base"].state_all(tuple(said))
        completions[example.id] = Completion(text, "stop", prompt_tokens=9)
        scores += [
            Score(example.id, example.scenario_id, query.box, query.num_ops, None if right else "other")
            for query in example.queries
            for right in [query.num_ops < wrong_from]
        ]
    return Evaluation(
        name, completions, tuple(scores), {"whole": len(asked)}, "reference 1", {"model.weights": name}
    )


@pytest.fixture(scope="session")
def asked() -> list[Example]:
    """Forty scenarios after each of six operations."""
    return [
        example
        for number in range(40)
        for example in examples(Scenario(f"s{number:02}", SHOTS.initial, SHOTS.operations))
    ]


@pytest.fixture(scope="session")
def results(asked: list[Example]) -> Results:
    """`before` is wrong after one operation, `after` only after two. Both name an object with markup."""
    evaluations = {
        "before": evaluation("before", asked, frozenset({"<script>alert(1)</script>"}), wrong_from=1),
        "after": evaluation("after", asked, frozenset({"zebra"}), wrong_from=2),
    }
    measured = {name: accuracies(entry) for name, entry in evaluations.items()}
    baseline = dict.fromkeys(BUCKETS, 0.1)
    found = compare(PAIR, *evaluations.values(), tuple(measured.values()), baseline)
    metadata = {
        "run": "20261120-020000-abc",
        "protocol": "paper (1)",
        "data set": "evaluation (2)",
        "torch": "2.13",
    }
    return Results(
        metadata | {"version of the task": "base", "suite": "made-up"},
        evaluations,
        measured,
        {entry.bucket: entry.baseline for entry in found},
        tuple(judge(entry) for entry in found),
        skipped={"absent": "needs 80 GB of GPU memory, and this machine has none."},
        over_random={name: gates(entry, baseline) for name, entry in measured.items()},
        factors={name: accuracy_by_factor(entry, asked) for name, entry in evaluations.items()},
    )
