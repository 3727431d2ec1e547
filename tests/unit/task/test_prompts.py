import pytest

from bench.task.examples import evaluation_set, examples
from bench.task.prompts import PROTOCOLS, SHOTS, build, constraint, gold_statement, shot_turns
from bench.task.world import SIZES

# Kim, Schuster & Toshniwal (2024), released scripts, branch shtoshni/outlines.
DESCRIPTION = (
    "Box 0 contains the car, Box 1 contains the cross, Box 2 contains the bag and the machine, "
    "Box 3 contains the paper and the string, Box 4 contains the bill, "
    "Box 5 contains the apple and the cash and the glass, Box 6 contains the bottle and the map."
)
OPERATIONS = (
    "Remove the car from Box 0. Remove the paper and the string from Box 3. Put the plane into Box 0. "
    "Move the map from Box 6 to Box 2. Remove the bill from Box 4. Put the coat into Box 3."
)
OUTCOME = (
    "Box 0 contains the plane, Box 1 contains the cross, Box 2 contains the bag and the machine and the map, "
    "Box 3 contains the coat, Box 4 contains nothing, Box 5 contains the apple and the cash and the glass, "
    "Box 6 contains the bottle."
)
INSTRUCTION = (
    'Given the description after "Description:", write a true statement about all boxes and their contents '
    'to the description after "Statement:".'
)
REGEX = "Statement: " + ", ".join(f"Box {box} contains( [a-zA-Z]+)*" for box in range(7)) + r"\."


def test_the_paper_prompt_is_the_released_one_word_for_word():
    example = examples(SHOTS)[3]
    assert build(example, PROTOCOLS["paper"]).text == (
        f"{INSTRUCTION}\n\n"
        f"Description: {DESCRIPTION}\nStatement: {DESCRIPTION}\n\n"
        f"Description: {DESCRIPTION} {OPERATIONS}\nStatement: {OUTCOME}\n\n"
        f"Description: {example.description}"
    )


def test_the_paper_constraint_is_the_released_one():
    required = constraint(PROTOCOLS["paper"])
    assert (required.regex, required.max_new_tokens) == (REGEX, 100)


def test_other_versions_have_room_in_proportion_to_what_they_must_say():
    """A box takes 24 characters with its comma ("Box 0 contains nothing"), or 30 ("Container A ...")."""
    limits = {
        ("base", 7): 100,
        ("base", 10): 100 * (10 * 24) / (7 * 24),
        ("altforms", 7): 100 * (7 * 30) / (7 * 24),
        ("base", 2): 100,
    }
    for (version, num_boxes), limit in limits.items():
        found = constraint(PROTOCOLS["paper"], version, num_boxes).max_new_tokens
        assert found == pytest.approx(limit, abs=1)


def test_drafts_begin_with_the_right_answer_of_each_box():
    example = examples(SHOTS)[-1]
    drafts = build(example, PROTOCOLS["paper"]).drafts
    assert "Statement: " + ", ".join(clauses[0] for clauses in drafts) + "." == gold_statement(example)
    assert drafts[3] == (
        "Box 3 contains the coat",
        "Box 3 contains nothing",
        "Box 3 contains the paper and the string",
    )


@pytest.mark.parametrize("version", SIZES)
def test_each_version_shows_the_same_two_examples_in_its_own_words(version):
    turns = shot_turns(version)
    assert [turn.role for turn in turns] == ["user", "assistant"] * 2
    required = constraint(PROTOCOLS["strict"], version, num_boxes=7)
    assert all(required.matches(turn.content) for turn in turns if turn.role == "assistant")
    asked = build(evaluation_set(version=version)[0], PROTOCOLS["paper"]).text
    assert all(turn.content in asked for turn in turns)


def test_the_alternative_wording_asks_about_containers():
    description, statement = (turn.content for turn in shot_turns("altforms")[2:])
    assert description.startswith("Description: The car is in Container A, the cross is in Container B, ")
    assert description.endswith("Take the bill out of Container E. Place the coat inside Container D.")
    assert "Container D contains the coat, Container E contains nothing, " in statement


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        pytest.param("nothing", True, id="empty box"),
        pytest.param("the key", True, id="one object"),
        pytest.param("the key and the pen and the hat", True, id="three objects"),
        pytest.param("the key and the pen and the hat and the cup", False, id="four objects"),
        pytest.param("the red key", False, id="an adjective in the base version"),
        pytest.param("key", False, id="no article"),
        pytest.param("", False, id="no contents"),
    ],
)
def test_the_strict_protocol_allows_well_formed_contents_only(text, allowed):
    required = constraint(PROTOCOLS["strict"], num_boxes=2)
    assert required.matches(f"Statement: Box 0 contains nothing, Box 1 contains {text}.") is allowed


def test_protocols_have_digests_of_their_own():
    assert len({protocol.digest for protocol in PROTOCOLS.values()}) == len(PROTOCOLS)
