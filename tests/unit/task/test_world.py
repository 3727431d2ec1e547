import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.records import Operation, State
from bench.task.world import MAX_OBJECTS, apply, generate, replay

SEEDS = st.integers(0, 10**9)


def state(*boxes: str) -> State:
    return tuple(frozenset(box.split()) for box in boxes)


def objects(names: str) -> frozenset[str]:
    return frozenset(names.split())


@pytest.mark.parametrize(
    ("operation", "after"),
    [
        pytest.param(Operation(objects("hat"), target=0), state("cup hat key", "map"), id="put"),
        pytest.param(Operation(objects("key"), source=0, target=1), state("cup", "key map"), id="move"),
        pytest.param(Operation(objects("cup key"), source=0), state("", "map"), id="remove"),
    ],
)
def test_an_operation_changes_its_boxes_only(operation, after):
    assert apply(state("cup key", "map"), operation) == after


@pytest.mark.parametrize(
    ("operation", "reason"),
    [
        pytest.param(Operation(objects("map"), source=0), "holds", id="takes what is elsewhere"),
        pytest.param(Operation(objects("map"), target=0), "already in a box", id="puts what is somewhere"),
        pytest.param(Operation(objects("hat pen"), target=0), "more than 3", id="overfills"),
        pytest.param(Operation(objects("key"), source=0, target=0), "changes nothing", id="within one box"),
        pytest.param(Operation(frozenset(), target=0), "changes nothing", id="no object"),
    ],
)
def test_an_impossible_operation_is_refused(operation, reason):
    with pytest.raises(ValueError, match=reason):
        apply(state("cup key", "map"), operation)


@settings(deadline=None, database=None)
@given(SEEDS)
def test_worlds_conserve_objects_and_never_exceed_three_a_box(seed):
    (scenario,) = generate(1, seed=seed)
    expected = set().union(*scenario.initial)
    states = list(replay(scenario.initial, scenario.operations))
    for operation, after in zip(scenario.operations, states[1:], strict=True):
        if operation.kind == "put":
            expected |= operation.objects
        elif operation.kind == "remove":
            expected -= operation.objects
        assert sorted(expected) == sorted(name for box in after for name in box)
        assert max(map(len, after)) <= MAX_OBJECTS
