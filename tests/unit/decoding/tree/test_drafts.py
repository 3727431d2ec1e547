"""A draft is the rest of the statement, in the words of the version, after any text."""

from __future__ import annotations

import pytest
import torch

from bench.decoding.device import Costs
from bench.decoding.tree.engine import Drafter, continuation
from bench.speed.scripted import random_model

BOXES = (
    ("Box 0 contains the car", "Box 0 contains the car and the hat", "Box 0 contains nothing"),
    ("Box 1 contains nothing", "Box 1 contains the key"),
    ("Box 2 contains the map",),
)
GOLD = "Statement: Box 0 contains the car, Box 1 contains nothing, Box 2 contains the map."
CONTAINERS = (("The car is in Container A",), ("There is nothing in Container B",))


@pytest.mark.parametrize(
    ("written", "rest"),
    [
        pytest.param("", GOLD, id="nothing written"),
        pytest.param("State", GOLD.removeprefix("State"), id="inside the opening"),
        pytest.param("Statement: Box 0 contains the c", "ar" + GOLD.partition("car")[2], id="inside a word"),
        pytest.param(
            "Statement: Box 0 contains the car and",
            " the hat" + GOLD.partition("car")[2],
            id="an older state",
        ),
        pytest.param("Statement: Box 0 contains the dog", GOLD.partition("car")[2], id="a clause of its own"),
        pytest.param(
            "Statement: Box 0 contains the dog,", GOLD.partition("car,")[2], id="a clause of its own, ended"
        ),
        pytest.param(
            "Statement: Box 0 contains the dog and",
            " the hat" + GOLD.partition("car")[2],
            id="as after the same word",
        ),
        pytest.param(
            "Statement: Box 0 contains the dog, Box 1 contains the", " key, Box 2 contains the map.",
            id="the next box is drafted after a wrong one",
        ),
        pytest.param(GOLD, "", id="all written"),
        pytest.param(GOLD + " a, b, c", "", id="more boxes than there are"),
    ],
)  # fmt: skip
def test_continuation(written, rest):
    assert continuation(written, BOXES) == rest


def test_any_clauses_are_drafted_as_they_are():
    whole = "Statement: The car is in Container A, There is nothing in Container B."
    assert all(continuation(whole[:cut], CONTAINERS) == whole[cut:] for cut in range(len(whole)))


def test_without_clauses_there_is_no_draft(tokenizer):
    assert Drafter(tokenizer).propose(["Statement: Box"], [()]) == [[]]


def test_a_draft_is_tokenized_as_the_middle_of_a_text(tokenizer):
    (draft,) = Drafter(tokenizer).propose(["Statement: Box 0 contains the"], [BOXES])
    assert tokenizer.decode(draft) == GOLD.removeprefix("Statement: Box 0 contains the")


def test_a_model_that_copies_is_offered_what_boxes_held_at_first(tokenizer):
    drafter = Drafter(tokenizer)
    copied = "Statement: Box 0 contains nothing, Box 1 contains the key, Box 2 contains the map."
    drafter.learn(copied, BOXES)
    (draft,) = drafter.propose([""], [BOXES])
    assert tokenizer.decode(draft) == copied


@pytest.mark.parametrize("branches", [1, 8, 100])
@pytest.mark.parametrize(
    ("accepted", "refused"),
    [
        pytest.param(999, 1, id="hardly any refused"),
        pytest.param(95, 5, id="one in twenty"),
        pytest.param(75, 25, id="one in four"),
        pytest.param(1, 99, id="hardly any accepted"),
    ],
)
def test_no_other_length_writes_more_tokens_for_its_cost(accepted: int, refused: int, branches: int) -> None:
    costs = Costs(random_model("tiny", "cpu", torch.float32)[0])
    costs.accepted, costs.refused = accepted, refused
    chance = accepted / (accepted + refused)

    def rate(length: int) -> float:
        return sum(chance**n for n in range(length + 1)) / (1 + length + costs.pass_tokens / branches)

    assert costs.draft_length(branches) == max(range(1, 2000), key=rate)
