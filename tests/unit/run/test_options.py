"""Options: the examples under a limit."""

import pytest

from bench.records import Example
from bench.run.plans import limited

EXAMPLES = [Example(f"scenario-{number}", 1, "", ()) for number in range(716)]


@pytest.mark.parametrize(("limit", "asked"), [(1, 1), (715, 715), (716, 716), (717, 716), (9999, 716)])
def test_a_limit_asks_distinct_examples_in_their_order(limit: int, asked: int) -> None:
    found = limited(EXAMPLES, limit)
    assert len(found) == asked
    assert list(found) == [example for example in EXAMPLES if example in set(found)]


def test_a_limit_spreads_over_the_whole_data_set() -> None:
    assert [example.scenario_id for example in limited(EXAMPLES, 4)] == [
        "scenario-0", "scenario-179", "scenario-358", "scenario-537",
    ]  # fmt: skip
