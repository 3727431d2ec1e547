import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.records import Operation
from bench.task.probes import PROBES
from bench.task.wording import WORDINGS, parse, parse_clause
from bench.task.world import SIZES, generate, replay

STATE = tuple(frozenset(box.split(",")) - {""} for box in ("car", "", "red cup,green cup"))
ANYWHERE = frozenset({"plane"})

DESCRIPTIONS = {  # Kim & Schuster (2023), section 4 and appendix
    "base": "Box 0 contains the car, Box 1 contains nothing, Box 2 contains the green cup and the red cup.",
    "altforms": "The car is in Container A, there is nothing in Container B, "
    "the green cup and the red cup are in Container C.",
}


@pytest.mark.parametrize("version", DESCRIPTIONS)
def test_a_description_opens_with_all_boxes(version):
    assert WORDINGS[version].describe(STATE) == DESCRIPTIONS[version]


@pytest.mark.parametrize(
    ("version", "operation", "sentence"),
    [
        ("base", Operation(ANYWHERE, target=0), "Put the plane into Box 0."),
        ("base", Operation(STATE[0], source=0, target=1), "Move the car from Box 0 to Box 1."),
        ("base", Operation(STATE[2], source=2), "Remove the green cup and the red cup from Box 2."),
        ("altforms", Operation(ANYWHERE, target=0), "Place the plane inside Container A."),
        (
            "altforms",
            Operation(STATE[0], source=0, target=1),
            "Pick up the car in Container A and place it into Container B.",
        ),
        (
            "altforms",
            Operation(STATE[2], source=2, target=1),
            "Pick up the green cup and the red cup in Container C and place them into Container B.",
        ),
        ("altforms", Operation(STATE[0], source=0), "Take the car out of Container A."),
        ("movecontents", Operation(STATE[2], source=2, target=1), "Move the contents of Box 2 to Box 1."),
        (
            "movecontents",
            Operation(frozenset({"red cup"}), source=2, target=1),
            "Move the red cup from Box 2 to Box 1.",
        ),
        (
            "adjectives",
            Operation(frozenset({"red cup"}), source=2, target=1),
            "Move the red cup from Box 2 to Box 1.",
        ),
        ("adjectives", Operation(frozenset({"big hat"}), target=0), "Put the big hat into Box 0."),
    ],
)
def test_an_operation_is_told_in_the_words_of_its_version(version, operation, sentence):
    assert WORDINGS[version].narrate(operation, STATE) == sentence


def test_an_adjective_is_dropped_where_the_noun_alone_is_clear():
    state = (frozenset({"red cup", "big hat"}), frozenset({"blue cup"}))
    operation = Operation(frozenset({"red cup"}), source=0)
    assert WORDINGS["adjectives"].narrate(operation, state) == "Remove the cup from Box 0."


def test_every_version_has_a_wording_and_a_size():
    assert WORDINGS.keys() == SIZES.keys() | PROBES.keys()


@pytest.mark.parametrize("version", SIZES)
@settings(max_examples=40, deadline=None, database=None)
@given(seed=st.integers(0, 10**9))
def test_what_is_told_reads_back_as_the_same_world(version, seed):
    (scenario,) = generate(1, seed=seed, version=version)
    wording = WORDINGS[version]
    states = list(replay(scenario.initial, scenario.operations))
    sentences = [wording.describe(scenario.initial), *map(wording.narrate, scenario.operations, states)]
    read = parse(" ".join(sentences), version)
    assert (read.initial, read.operations) == (scenario.initial, scenario.operations)
    assert list(replay(read.initial, read.operations)) == states
    for box, contents in enumerate(states[-1]):
        assert parse_clause(wording.describe_box(box, contents), version, stated=True) == (box, contents)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("Box 0 contains the car, Box 2 contains nothing.", "place of box 1", id="box left out"),
        pytest.param("Box 0 contains the car, Box 1 contains the car.", "twice", id="object in two boxes"),
        pytest.param("Box 0 contains car, Box 1 contains nothing.", "list of", id="no article"),
        pytest.param("Box 0 has the car, Box 1 contains nothing.", "not a clause", id="another verb"),
        pytest.param(
            "Box 0 contains the car, Box 1 contains nothing. Burn Box 0.", "not an op", id="no kind"
        ),
        pytest.param(
            "Box 0 contains the car, Box 1 contains nothing. Move the cup from Box 0 to Box 1.",
            "box 0 holds",
            id="takes what is not there",
        ),
        pytest.param(
            "Box 0 contains the car, Box 1 contains nothing. Put the cup into Box 5.",
            "does not exist",
            id="no such box",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_sentence(text, reason):
    with pytest.raises(ValueError, match=reason):
        parse(text)
