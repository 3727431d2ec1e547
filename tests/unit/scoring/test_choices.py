"""Log-probabilities -> choices and margins, computed by hand."""

from __future__ import annotations

import json

import pytest

from bench.records import BREAK, Completion, Operation, Scenario
from bench.scoring.baselines import chance
from bench.scoring.scores import mean_margins, read_choice, score
from bench.task.examples import examples
from bench.task.prompts import choices

INITIAL = (frozenset({"car", "key"}), frozenset())
EXAMPLE = examples(Scenario("s", INITIAL, (Operation(frozenset({"key"}), source=0),)))[1]


def test_the_likeliest_clause_is_the_answer_and_its_lead_the_margin() -> None:
    """Box 0: true, earlier (or one extra), one missing. Box 1: true, box 0's contents, one extra."""
    found = choices(EXAMPLE)
    assert [len(clauses) for clauses in found] == [3, 3]
    logprobs = [[-2.0, -1.5, -9.0], [-0.5, -4.0, -3.0]]
    completion = Completion("Statement: ..." + BREAK + json.dumps(logprobs), "stop", 1)
    answer, margins = read_choice(completion, EXAMPLE)
    assert answer.boxes == (frozenset({"car", "key"}), frozenset())
    assert margins == [-0.5, 2.5]
    scores = score(EXAMPLE, answer)
    assert [one.error for one in scores] == ["stale", None]
    assert mean_margins(scores, {EXAMPLE.id: margins}) == {"ops0": 2.5, "ops1": -0.5, "ops1plus": -0.5}


def test_chance_is_one_of_the_clauses() -> None:
    assert chance([EXAMPLE]) == pytest.approx({"ops0": 1 / 3, "ops1": 1 / 3, "ops1plus": 1 / 3})
