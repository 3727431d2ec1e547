import pytest

from bench.records import Answer
from bench.scoring.scores import score
from bench.task.examples import examples
from bench.task.prompts import SHOTS

EXAMPLE = examples(SHOTS)[-1]
RIGHT = tuple(query.target for query in EXAMPLE.queries)


@pytest.mark.parametrize(
    ("box", "stated", "error"),
    [
        pytest.param(2, {"map", "machine", "bag"}, None, id="right"),
        pytest.param(4, set(), None, id="right about an empty box"),
        pytest.param(3, {"paper", "string"}, "stale", id="what it held at first"),
        pytest.param(3, set(), "stale", id="what it held in between"),
        pytest.param(2, {"bag"}, "missing", id="some objects"),
        pytest.param(5, {"apple", "cash", "glass", "hat"}, "extra", id="more objects"),
        pytest.param(1, {"hat"}, "other", id="another object"),
        pytest.param(4, None, "unread", id="not stated, though empty"),
    ],
)
def test_a_box_is_right_when_its_objects_are(box, stated, error):
    boxes = list(RIGHT)
    boxes[box] = None if stated is None else frozenset(stated)
    scores = score(EXAMPLE, Answer(tuple(boxes), "whole"))
    assert [entry.error for entry in scores] == [error if entry.box == box else None for entry in scores]


def test_a_score_carries_the_number_of_operations_on_its_box():
    scores = score(EXAMPLE, Answer((None,) * 7, "malformed"))
    assert [entry.num_ops for entry in scores] == [2, 0, 1, 2, 1, 0, 1]
    assert not any(entry.correct for entry in scores)
