import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.records import Completion
from bench.scoring.answers import clauses, read_answer, read_contents
from bench.task.examples import examples
from bench.task.prompts import PROTOCOLS, constraint, gold_statement
from bench.task.world import SIZES, generate

PAPER = constraint(PROTOCOLS["paper"])


def completion(text: str, finish_reason="stop") -> Completion:
    return Completion(text, finish_reason, prompt_tokens=1)


@pytest.mark.parametrize(
    ("text", "contents"),
    [
        pytest.param("the key and the apple", {"apple", "key"}, id="order ignored"),
        pytest.param("the key, the apple, and the pen", {"apple", "key", "pen"}, id="commas"),
        pytest.param("the key and the key", {"key"}, id="repeats collapse"),
        pytest.param("key", {"key"}, id="without article"),
        pytest.param("a key", {"a key"}, id="another article is part of the name"),
        pytest.param("the the key", {"key"}, id="article twice"),
        pytest.param("the theremin and the leather", {"theremin", "leather"}, id="article within a name"),
        pytest.param("the green shoe", {"green shoe"}, id="adjective"),
        pytest.param("nothing", set(), id="empty box"),
        pytest.param("", None, id="unreadable is not empty"),
        pytest.param("nothing and the key", None, id="nothing and something"),
        pytest.param("is empty", None, id="verb kept"),
    ],
)
def test_read_contents(text, contents):
    assert read_contents(text) == (None if contents is None else frozenset(contents))


# The reading of each text by the released scripts, derived by hand from their rules, for three boxes.
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "Statement: Box 0 contains the car, Box 1 contains nothing, Box 2 contains the key and the pen.",
            ["the car", "nothing", "the key and the pen"],
            id="whole",
        ),
        pytest.param(
            "Box 0 contains the car, Box 2 contains the pen, Box 1 contains nothing.",
            ["the car", "nothing", "the pen"],
            id="out of order",
        ),
        pytest.param(
            "Box 0 contains the car, Box 2 contains the pen.", ["the car", None, "the pen"], id="missing"
        ),
        pytest.param(
            "Box 1 contains the car, Box 2 contains the pen.",
            ["Box 1 contains the car", None, "the pen"],
            id="the first clause is the first box's, whatever it names",
        ),
        pytest.param(
            "Box 0 contains the car, Box 1 contains the pen, Box 1 contains the key.",
            ["the car", "the key", "the pen"],
            id="a repeat takes the place of a missing box",
        ),
        pytest.param(
            "Box 0 contains the car, Box 2 contains the pen, Box 2 contains the key, Box 1 contains nothing.",
            ["the car", "nothing", "the key"],
            id="of more clauses than boxes the first ones count",
        ),
        pytest.param(
            "Box 0 contains the car, Box 2 contains the pen, Box 0 contains nothing.",
            ["the car", None, "the pen,  nothing"],
            id="a second clause about the first box runs into the clause before it",
        ),
        pytest.param(
            "Box 0 contains the car. Box 1 contains the pen.", ["the car", None, None], id="full stop"
        ),
        pytest.param(
            "Box 0 contains the car, Box 1 contains nothing, Box 2 contains the key. I hope this helps!",
            ["the car", "nothing", "the key"],
            id="text after the full stop",
        ),
        pytest.param(
            "Yes. Statement: Box 0 contains the car, Box 1 contains nothing and Box 2 contains the key. OK",
            ["the car", "nothing", "the key"],
            id="text around, and Box",
        ),
        pytest.param(
            "Box 0 contains the car; Box 1 contains nothing, and Box 2 contains the key",
            ["the car", "nothing", "the key"],
            id="; Box and , and Box",
        ),
        pytest.param(
            "Statement:\nBox 0 contains the car,\n\tBox 1 contains nothing,\nBox 2 contains the key.",
            ["the car", "nothing", "the key"],
            id="line breaks after commas",
        ),
        pytest.param(
            "Box 0 contains the car\nBox 1 contains nothing",
            ["the car Box 1 contains nothing", None, None],
            id="line breaks instead of commas",
        ),
        pytest.param(
            "Box 0 contains the car, Box 1 is empty, Box 2 contains the key",
            ["the car", "nothing", "the key"],
            id="is empty",
        ),
        pytest.param(
            "Box 0 is empty, Box 1 is empty, Box 2 contains the key",
            ["Box 0 is empty", "nothing", "the key"],
            id="the first box is empty",
        ),
        pytest.param(
            "is empty, Box 1 contains nothing, Box 2 is empty.",
            ["is empty", "contains nothing", "is empty"],
            id="a first clause with its verb keeps all verbs",
        ),
        pytest.param(
            "Box 0 contains, Box 1 contains, Box 2 has the key.", ["", None, None], id="no contents"
        ),
        pytest.param("I do not know", ["I do not know", None, None], id="prose"),
        pytest.param("", ["", None, None], id="silence"),
        pytest.param(
            "the car is in Container A, the key and the pen are in Container B, "
            "there is nothing in Container C",
            ["the car is in Container A", "the key and the pen", "nothing"],
            id="other wording",
        ),
    ],
)
def test_clauses_are_told_apart_as_the_released_scripts_do(text, expected):
    assert clauses(text, num_boxes=3) == expected


@pytest.mark.parametrize("version", SIZES)
@pytest.mark.parametrize("protocol", PROTOCOLS)
@settings(max_examples=20, deadline=None, database=None)
@given(seed=st.integers(0, 10**9))
def test_the_right_answer_meets_the_constraint_and_reads_back_as_the_state(version, protocol, seed):
    (scenario,) = generate(1, seed=seed, version=version)
    num_boxes = len(scenario.initial)
    required = constraint(PROTOCOLS[protocol], version, num_boxes)
    example = examples(scenario)[-1]
    answer = read_answer(completion(gold_statement(example)), required, version, num_boxes)
    assert answer.form == "whole"
    assert answer.boxes == tuple(query.target for query in example.queries)


@pytest.mark.parametrize(
    ("text", "finish_reason", "form"),
    [
        pytest.param("Statement: Box 0 contains the", "length", "cut", id="cut at the token limit"),
        pytest.param("Statement: Box 0 contains the", "stop", "malformed", id="ended too early"),
        pytest.param("The boxes are empty.", "stop", "malformed", id="another form"),
    ],
)
def test_an_answer_outside_the_constraint_is_marked(text, finish_reason, form):
    assert read_answer(completion(text, finish_reason), PAPER).form == form


PIECES = st.sampled_from([
    "Box ", "Box 0 contains", "Box 1 contains ", "Container B", "; Box 3", ", and Box", ", ", " and ", " ",
    ".", " are in ", "there is nothing in Container C", "is empty", "nothing", "the key", "Statement:", "\n",
])  # fmt: skip
TEXTS = st.one_of(
    st.text(max_size=80), st.lists(st.one_of(PIECES, st.text(max_size=3)), max_size=30).map("".join)
)


def check_any_text_is_read(text: str, num_boxes: int) -> None:
    answer = read_answer(completion(text), PAPER, num_boxes=num_boxes)
    assert len(answer.boxes) == num_boxes
    assert all(contents is None or isinstance(contents, frozenset) for contents in answer.boxes)


@settings(max_examples=2_000, deadline=None, database=None)
@given(TEXTS, st.integers(2, 10))
def test_any_text_is_read_without_an_exception(text, num_boxes):
    check_any_text_is_read(text, num_boxes)


@pytest.mark.nightly
@settings(max_examples=100_000, deadline=None, database=None)
@given(TEXTS, st.integers(2, 10))
def test_any_of_many_texts_is_read_without_an_exception(text, num_boxes):
    check_any_text_is_read(text, num_boxes)
