"""The errors of models, on a scenario small enough to count by hand."""

from __future__ import annotations

from bench.records import Evaluation, Scenario, Score
from bench.scoring.scores import accuracy_by_factor, count_errors
from bench.task.examples import examples
from bench.task.prompts import SHOTS

ASKED = examples(Scenario("s", SHOTS.initial, SHOTS.operations))
SCORES = tuple(
    Score(example.id, "s", query.box, query.num_ops, None if query.last == "put" else "stale")
    for example in ASKED
    for query in example.queries
)
FOUND = accuracy_by_factor(Evaluation("m", {}, SCORES, {}, "", {}), ASKED)


def test_a_query_knows_the_operations_that_changed_its_box() -> None:
    """Box 0: the car is removed by the first operation, the plane put in by the third."""
    box = ASKED[-1].queries[0]
    assert (box.changed_by, box.last) == ((1, 3), "put")
    assert ASKED[-1].queries[6].last == "move out" and ASKED[-1].queries[2].last == "move in"
    assert ASKED[0].queries[0].last is None


def test_accuracy_by_the_last_operation() -> None:
    """After k = 1..6 operations the boxes with a put last: none, none, 0, 0, 0, and then 0 and 3."""
    found = FOUND["last operation"]
    assert list(found) == ["put", "move in", "move out", "remove"]
    assert (found["put"].n, found["put"].correct) == (5, 5)
    assert {found[kind].correct for kind in ("move in", "move out", "remove")} == {0}
    assert sum(accuracy.n for accuracy in found.values()) == 19


def test_every_factor_divides_the_same_queries() -> None:
    assert list(FOUND) == ["last operation", "objects in the box", "operations in the text", "box"]
    assert {sum(accuracy.n for accuracy in levels.values()) for levels in FOUND.values()} == {19}
    assert list(FOUND["operations in the text"]) == ["1", "2", "3", "4", "5", "6"]


def test_errors_are_counted_by_bucket() -> None:
    assert count_errors(SCORES, "ops1plus") == {None: 5, "stale": 14}
