"""Progress, as the controller sees it: what any process adds to the store."""

import time
from dataclasses import replace
from pathlib import Path

from bench.decoding.constraint import Constraint
from bench.records import Completion
from bench.run.progress import Progress
from bench.store import Run, Settings, Store

SETTINGS = Settings({"weights": "ab"}, Constraint(".*", 100), "reference/1")
RUN = Run("night", "one", SETTINGS)
OTHER = Run("night", "two", replace(SETTINGS, model={"weights": "cd"}))


def add(store: Store, run: Run, *keys: str) -> None:
    store.add([(key, Completion("answer", "stop", 1)) for key in keys], run)


def wait_for(line: str, said: list[str]) -> None:
    deadline = time.monotonic() + 30
    while line not in said and time.monotonic() < deadline:
        time.sleep(0.01)
    assert line in said, said


def test_each_model_is_counted_from_where_the_run_began(tmp_path: Path) -> None:
    said: list[str] = []
    with Store(tmp_path / "store.sqlite") as store:
        add(store, RUN, "kept before")
        with Progress(tmp_path / "store.sqlite", said.append, interval=0.01):
            add(store, RUN, "a", "b")
            wait_for("one: 2 completed", said)
            add(store, OTHER, "c")
            wait_for("one: 2 completed, two: 1 completed", said)
    assert len(said) == len(set(said))  # silent while nothing changes


def test_a_store_that_cannot_be_read_does_not_stop_the_run(tmp_path: Path) -> None:
    said: list[str] = []
    with Progress(tmp_path, said.append, interval=0.01):
        pass
    assert said == []
