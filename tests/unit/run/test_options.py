"""Options: the examples under a limit, and the figures recorded for a metric."""

import pytest

from bench.records import Example
from bench.run.options import Options
from bench.run.plans import limited, load_suites

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


def test_recorded_figures_are_of_generated_answers() -> None:
    generated, chosen = (
        load_suites(Options(suite="embedded", metric=metric)) for metric in ("generation", "logprob")
    )
    assert generated[0].recorded and not chosen[0].recorded
