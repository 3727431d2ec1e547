import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.__main__ import main
from bench.records import Completion, Operation, Scenario
from bench.scoring.answers import clauses, read_answer
from bench.scoring.predictions import is_right, score_predictions
from bench.scoring.scores import score
from bench.task.examples import examples
from bench.task.prompts import PROTOCOLS, SHOTS, constraint
from bench.task.wording import name_objects
from bench.task.write import rows

# Two states of three boxes. Numbers of operations: 0, 0, 0 and then 1, 0, 1.
SCENARIO = Scenario(
    "s0-0",
    (frozenset({"car", "key"}), frozenset(), frozenset({"pen"})),
    (Operation(frozenset({"car"}), source=0, target=2),),
)
GOLD = list(rows(SCENARIO))
RIGHT = [
    "Statement: Box 0 contains the car and the key, Box 1 contains nothing, Box 2 contains the pen.",
    "Statement: Box 0 contains the key, Box 1 contains nothing, Box 2 contains the car and the pen.",
]


def by_state(*predictions: object) -> list[str]:
    return [json.dumps({"input": "...", "prediction": prediction}) for prediction in predictions]


def by_box(*predictions: object) -> list[str]:
    """Rows in the form of expand_results."""
    gold = [json.loads(row) for row in GOLD]
    return [
        json.dumps({
            "target": row["masked_content"].removeprefix("<extra_id_0> "),
            "prediction": prediction,
            "input": row["sentence_masked"].replace(" <extra_id_0>", ""),
        })
        for row, prediction in zip(gold, predictions, strict=False)
    ]  # fmt: skip


def scored(tmp_path: Path, predictions: list[str], gold: list[str] = GOLD):
    for name, lines in (("gold", gold), ("predictions", predictions)):
        (tmp_path / f"{name}.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return score_predictions(tmp_path / "gold.jsonl", tmp_path / "predictions.jsonl")


def correct(found) -> tuple[tuple[int, int], tuple[int, int], int]:
    """(correct, n) at 0 and at 1 operation, and the number of completely right states."""
    none, one = (found["by_num_ops"][num_ops] for num_ops in "01")
    return count(none), count(one), count(found["states"])[0]


def count(group) -> tuple[int, int]:
    return round(group["accuracy"] * group["n"]), group["n"]


# Right answers among the four boxes with 0 operations, the two with 1, and the two states, by hand.
@pytest.mark.parametrize(
    ("first", "second", "right_of_4", "right_of_2", "states"),
    [
        pytest.param(*RIGHT, 4, 2, 2, id="all right"),
        pytest.param(RIGHT[0], "Box 2 contains the pen and the car; Box 1 is empty", 4, 0, 1, id="no Box 0"),
        pytest.param(
            RIGHT[0],
            "Box 0 contains the key, Box 2 contains the pen and the car and Box 1 is empty",
            4, 2, 2, id="other order, is empty",
        ),
        pytest.param("the key and the car, Box 2 contains the pen.", RIGHT[1], 3, 2, 1, id="no Box 1"),
        pytest.param(RIGHT[0], f"{RIGHT[1][:-1]}\n, Box 2 contains the pen.", 4, 2, 2, id="one too many"),
        pytest.param(RIGHT[0], RIGHT[1].replace("Box 1", "Box 0"), 3, 1, 1, id="the first box twice"),
        pytest.param(RIGHT[0], RIGHT[1].replace("Box 1", "Box 2"), 4, 2, 2, id="enough clauses"),
        pytest.param("", "I cannot tell.", 0, 0, 0, id="no answer"),
    ],
)  # fmt: skip
def test_one_prediction_a_state_is_scored_box_by_box(first, second, right_of_4, right_of_2, states, tmp_path):
    found, notes = scored(tmp_path, by_state(first, second))
    assert correct(found) == ((right_of_4, 4), (right_of_2, 2), states)
    assert not notes


def test_one_prediction_a_box_is_scored_as_it_stands(tmp_path):
    found, _ = scored(
        tmp_path, by_box("the key and the car", "nothing", "the pen.", "the key", "is empty", "the pen")
    )
    assert correct(found) == ((3, 4), (1, 2), 1)
    assert count(found["one_plus"]) == (1, 2)


def test_an_input_may_be_the_whole_prompt(tmp_path):
    found = [json.loads(row) for row in by_box("the car and the key", "nothing", "the pen")]
    for row in found:
        description, _, clause = row["input"].removesuffix(" .").rpartition(". ")
        row["input"] = f"Say what is true. Description: {description}. Statement: {clause}"
    _, notes = scored(tmp_path, [json.dumps(row) for row in found], GOLD[:3])
    assert not notes


def test_both_forms_of_one_answer_get_the_same_score(tmp_path):
    texts = [RIGHT[0], "Box 0 contains the key, Box 2 contains the car, the pen."]
    expanded = [clause or "invalid" for text in texts for clause in clauses(text, 3)]
    assert scored(tmp_path, by_state(*texts)) == scored(tmp_path, by_box(*expanded))


@pytest.mark.parametrize(
    ("stated", "target", "right"),
    [
        pytest.param("the pen and the car", "the car and the pen", True, id="any order"),
        pytest.param("the pen, and the car.", "the car and the pen", True, id="commas and full stop"),
        pytest.param("contains pen, car", "the car and the pen", True, id="verb, no articles"),
        pytest.param("thecar", "the car", True, id="article run together"),
        pytest.param("The car", "the car", False, id="capital letter"),
        pytest.param("a car", "the car", False, id="another article"),
        pytest.param("the theremin", "the theremin", True, id="a name with the, word for word"),
        pytest.param("the car and the theremin", "the theremin and the car", False, id="in another order"),
        pytest.param("nothing", "nothing", True, id="empty"),
        pytest.param("is empty", "nothing", False, id="empty, in other words"),
        pytest.param("contains nothing", "nothing", False, id="empty, with its verb"),
        pytest.param("nothing", "the car", False, id="empty, but it is not"),
        pytest.param("the car and nothing", "the car", False, id="something and nothing"),
        pytest.param("contains the pen, the car", "contains the car and the pen", True, id="other folders"),
        pytest.param("is empty", "is empty", True, id="other folders, empty"),
        pytest.param("nothing", "is empty", False, id="other folders, empty in other words"),
        pytest.param("the green shoe", "the green shoe", True, id="adjective"),
        pytest.param("the shoe", "the green shoe", False, id="adjective left out"),
    ],
)
def test_a_clause_is_right_as_in_the_released_scripts(stated, target, right):
    assert is_right(stated, target) is right


CONTENTS = st.lists(st.sampled_from(["car", "key", "pen", "green shoe"]), max_size=3).map(name_objects)
CLAUSES = st.builds("Box {} {} {}".format, st.integers(0, 7), st.sampled_from(["contains", "has"]), CONTENTS)
SEPARATORS = st.sampled_from([", ", "; ", " and ", ", and ", ",\n", ". "])
TEXTS = st.builds(str.join, SEPARATORS, st.lists(st.one_of(CONTENTS, CLAUSES), max_size=9)).map(
    "Box 0 contains {}".format
)


@settings(max_examples=100, deadline=None, database=None)
@given(TEXTS)
def test_a_live_answer_is_scored_as_the_same_prediction_would_be(text):
    example = examples(SHOTS)[-1]
    answer = read_answer(Completion(text, "stop", 1), constraint(PROTOCOLS["paper"]))
    targets = [
        " and ".join(f"the {name}" for name in sorted(query.target)) or "nothing" for query in example.queries
    ]
    assert [entry.correct for entry in score(example, answer)] == [
        clause is not None and is_right(clause, target)
        for clause, target in zip(clauses(text), targets, strict=True)
    ]


@pytest.mark.parametrize(
    ("predictions", "note", "right"),
    [
        pytest.param(by_state(RIGHT[0]), "prediction 2: it is missing", (3, 0), id="too few"),
        pytest.param(by_state(None, RIGHT[1]), "prediction 1: it has no text under", (1, 2), id="null"),
        pytest.param([*by_state(RIGHT[0]), "{"], "prediction 2: not JSON", (3, 0), id="not JSON"),
        pytest.param([*by_state(RIGHT[0]), "[]"], "prediction 2: it has no text", (3, 0), id="not an object"),
        pytest.param(by_state(*RIGHT, RIGHT[0]), "are ignored", (4, 2), id="too many"),
        pytest.param(
            by_box("the car and the key", "nothing", "the pen", None, "nothing", "the car and the pen"),
            "prediction 4: it has no text",
            (4, 1),
            id="one box without an answer",
        ),
        pytest.param(
            by_box("the car and the key", "nothing", "the pen", "the key", "nothing")[::-1],
            "prediction 1: its input and target differ from the gold row",
            (1, 0),
            id="boxes of other rows",
        ),
    ],
)  # fmt: skip
def test_where_the_scripts_stop_the_row_is_told_and_counts_as_wrong(predictions, note, right, tmp_path):
    found, notes = scored(tmp_path, predictions)
    assert any(note in line for line in notes)
    assert tuple(count(found["by_num_ops"][num_ops])[0] for num_ops in "01") == right


def test_boxes_without_a_row_are_left_out_as_the_scripts_do(tmp_path):
    found, notes = scored(tmp_path, by_box("the car and the key", "nothing", "the pen", "the key"))
    assert correct(found) == ((3, 3), (1, 1), 1)
    assert (found["states"]["n"], len(notes)) == (1, 1)


def test_a_gold_row_that_contradicts_itself_is_told(tmp_path):
    edited = GOLD[1].replace('"<extra_id_0> nothing"', '"<extra_id_0> the hat"')
    _, notes = scored(tmp_path, by_state(*RIGHT), [GOLD[0], edited, *GOLD[2:]])
    assert notes == ["gold row 2: sentence differs from sentence_masked with its masked_content"]


@pytest.mark.parametrize(
    ("gold", "reason"),
    [
        pytest.param([], "has no rows", id="empty"),
        pytest.param(GOLD[:-1], "not a multiple of its 3 boxes", id="cut"),
        pytest.param([*GOLD[:2], "{}", *GOLD[3:]], "row 3: not a row", id="a field is missing"),
        pytest.param([*GOLD[:2], "{", *GOLD[3:]], "row 3: not a row", id="not JSON"),
    ],
)
def test_gold_rows_that_cannot_be_understood_are_refused(gold, reason, tmp_path):
    with pytest.raises(ValueError, match=reason):
        scored(tmp_path, by_state(*RIGHT), gold)


def test_the_command_prints_the_agreed_json(tmp_path, capsys):
    scored(tmp_path, by_state(RIGHT[0], "Box 0 contains the key."))
    files = ["--gold", str(tmp_path / "gold.jsonl"), "--predictions", str(tmp_path / "predictions.jsonl")]
    assert main(["score-predictions", *files, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "by_num_ops": {"0": {"accuracy": 0.75, "n": 4}, "1": {"accuracy": 0.5, "n": 2}},
        "one_plus": {"accuracy": 0.5, "n": 2},
        "states": {"accuracy": 0.5, "n": 2},
    }
    assert main(["score-predictions", *files]) == 0
    assert re.search(r"\| 1\+ +\| 50.00 +\| 2 +\|", capsys.readouterr().out)


def test_a_file_that_is_not_there_is_one_line(tmp_path, capsys):
    assert (
        main(["score-predictions", "--gold", str(tmp_path / "no"), "--predictions", str(tmp_path / "no")])
        == 4
    )
    error = capsys.readouterr().err
    assert "cannot be read" in error
    assert error.count("\n") == 1
