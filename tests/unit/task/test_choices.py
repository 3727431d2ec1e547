"""The choices of a model, written by hand, and laws that hold for all choices."""

from __future__ import annotations

from bench.records import Operation, Scenario
from bench.task.examples import evaluation_set, examples
from bench.task.prompts import PROTOCOLS, build, build_choices, choices, gold_statement
from bench.task.world import MAX_OBJECTS


def objects(names: str) -> frozenset[str]:
    return frozenset(names.split())


def test_choices_of_a_small_world() -> None:
    """A changed box, an empty box, and an unchanged box."""
    initial = (objects("car key"), objects(""), objects("map"))
    moved = Operation(objects("key"), source=0, target=2)
    found = choices(examples(Scenario("s", initial, (moved,)))[1])
    assert found[0] == (
        objects("car"),  # true
        objects("car key"),  # as it was
        objects("key map"),  # as another box
        objects(""),  # one missing
        objects("car map"),  # one too many
    )
    assert found[1] == (objects(""), objects("car"), objects("map"))
    assert found[2] == (
        objects("key map"),
        objects("map"),
        objects("car"),
        objects("key"),
        objects("car key map"),
    )


def test_every_box_has_a_choice_and_none_twice() -> None:
    for example in evaluation_set()[::20]:
        for query, found in zip(example.queries, choices(example), strict=True):
            assert found[0] == query.target
            assert set(query.earlier) <= set(found)
            assert len(found) == len(set(found)) >= 2
            assert max(map(len, found)) <= MAX_OBJECTS
            missing = [one for one in found if one < query.target]
            assert missing or not query.target


def test_the_prompt_is_the_same_and_its_first_clauses_are_the_right_answer() -> None:
    example = examples(evaluation_scenario())[1]
    asked, plain = build_choices(example, PROTOCOLS["paper"]), build(example, PROTOCOLS["paper"])
    assert asked.text == plain.text
    assert f"Statement: {', '.join(clauses[0] for clauses in asked.drafts)}." == gold_statement(example)


def evaluation_scenario() -> Scenario:
    return Scenario("s", (objects("car"), objects("")), (Operation(objects("car"), source=0, target=1),))
