"""Progress in the main process: the rows that any process adds to the store."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench.records import Completion
from bench.run.options import Options
from bench.run.plans import Plan
from bench.run.progress import added_since, kept_for, kept_of, last_number
from bench.store import Run, Settings, Store
from bench.task.examples import evaluation_set
from bench.task.prompts import Constraint
from bench.text import counted, in_words

SETTINGS = Settings({"weights": "ab"}, Constraint(".*", 100), "reference/1")
RUN = Run("night", "one", SETTINGS)
OTHER = Run("night", "two", replace(SETTINGS, model={"weights": "cd"}))


def add(store: Store, run: Run, *keys: str) -> None:
    store.add([(key, Completion("answer", "stop", 1)) for key in keys], run)


def test_each_model_is_counted_from_where_the_run_began(tmp_path: Path) -> None:
    with Store(tmp_path / "store.sqlite") as store:
        add(store, RUN, "kept before")
        start = last_number(store)
        assert added_since(store, start) == {}
        add(store, RUN, "a", "b")
        add(store, OTHER, "c")
        assert added_since(store, start) == {"one": 2, "two": 1}
        assert kept_of(store, "night") == 4 and kept_of(store, "another") == 0


def test_answers_to_other_prompts_or_another_metric_are_not_those_of_the_run(tmp_path: Path) -> None:
    plan = Plan(tuple(evaluation_set()[:3]))
    generated = Settings({"weights": "ab"}, plan.constraint, plan.engines[0])
    with Store(tmp_path / "store.sqlite") as store:
        add(store, Run("night", "one", generated), *list(plan.keys(generated).values())[:2], "another prompt")
        assert kept_for(store, plan) == {"one": 2}
        assert kept_for(store, replace(plan, options=Options(metric="logprob"))) == {}
        assert kept_for(store, replace(plan, options=Options(protocol="strict"))) == {}


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "1 s"), (89, "89 s"), (600, "10 min"), (9000, "2.5 h"), (86400, "24 h")]
)
def test_times_are_told_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


def test_one_of_a_thing_is_told_in_the_singular() -> None:
    assert [counted(number, "prompt") for number in (0, 1, 2)] == ["0 prompts", "1 prompt", "2 prompts"]
