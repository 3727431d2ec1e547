"""SIGKILL at any moment: what was acknowledged is there, once, and a run goes on to the same end."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from bench.decoding.constraint import Constraint
from bench.records import Completion
from bench.report.files import write
from bench.session import Session
from bench.store import Run, Settings, Store

FORK = multiprocessing.get_context("fork")
RUN = Run("night", "tiny", Settings({"weights": "ab"}, Constraint(".*", 100), "reference/1"))
BATCH = 4


def write_until_killed(path: Path, first: int, steps: int, acknowledge: int) -> None:
    """Add batch after batch; die in the middle of one, after so many steps of SQLite's machine."""
    left = iter(range(steps))
    with Store(path) as store:
        store.database.set_progress_handler(lambda: next(left, None) is None and os.kill(os.getpid(), 9), 1)
        for number in range(first, first + 10_000, BATCH):
            keys = [str(key) for key in range(number, number + BATCH)]
            store.add([(key, Completion(f"answer {key}", "stop", 1)) for key in keys], RUN)
            os.write(acknowledge, "".join(f"{key}\n" for key in keys).encode())


def test_a_writer_killed_at_any_step_loses_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    """One store, 120 writers in turn, each killed some steps later than the one before."""
    path, log = tmp_path / "store.sqlite", tmp_path / "acknowledged"
    for turn in range(120):
        with log.open("ab", buffering=0) as file:
            arguments = (path, 10_000 * turn, 7 + 13 * turn, file.fileno())
            writer = FORK.Process(target=write_until_killed, args=arguments)
            writer.start()
            writer.join()
        assert writer.exitcode == -signal.SIGKILL
    acknowledged = log.read_text().split()
    with Store(path) as store:
        assert len(acknowledged) > 200
        assert {key: row.text for key, row in store.get(acknowledged).items()} == {
            key: f"answer {key}" for key in acknowledged
        }
        [(rows, distinct)] = store.read("SELECT count(*), count(DISTINCT key) FROM completions")
        assert rows == distinct and rows % BATCH == 0  # a batch is there whole or not at all
        assert rows <= len(acknowledged) + 120 * BATCH
        assert store.notices == store.problems() == []


Sessions = Callable[[Path | str], Session]


def evaluate_both(session_of: Sessions, path: Path, acknowledge: int) -> None:
    """What a worker does, telling which rows it was promised to find again."""
    import torch

    torch.set_num_threads(1)
    session = session_of(path)
    add = session.store.add

    def add_and_tell(rows: list[tuple[str, Completion]], run: Run) -> int:
        added = add(rows, run)
        os.write(acknowledge, "".join(f"{key}\n" for key, _ in rows).encode())
        return added

    session.store.add = add_and_tell
    session.evaluate("one", "two")


def report(session: Session, folder: Path) -> dict[str, object]:
    """A report's files, but for the line on when its rows were made."""
    session.evaluate("one", "two")
    write(session.results([session.suite.pairs], {"run": "night"}), folder)
    results = json.loads((folder / "results.json").read_text())
    for model in results["models"].values():
        del model["run"]
    return {"results.json": results} | {
        name: (folder / name).read_bytes() for name in ("report.md", "accuracy.csv")
    }


@pytest.mark.parametrize(
    "kills", [10, pytest.param(200, marks=[pytest.mark.nightly, pytest.mark.timeout(3600)])]
)
def test_a_run_killed_at_random_moments_ends_with_the_report_of_an_undisturbed_one(
    kills: int, session_of: Sessions, tmp_path: Path
) -> None:
    """Each run is killed and started again until it ends by itself; then the next run begins anew."""
    random = Random(f"kills/{kills}")
    start = time.monotonic()
    undisturbed = report(session_of(":memory:"), tmp_path / "undisturbed")
    longest = time.monotonic() - start
    killed = runs = 0
    while killed < kills:
        folder = tmp_path / str(runs)
        store, log = folder / "store.sqlite", folder / "acknowledged"
        folder.mkdir()
        ended = False
        while not ended:
            with log.open("ab", buffering=0) as file:
                worker = FORK.Process(target=evaluate_both, args=(session_of, store, file.fileno()))
                worker.start()
                worker.join(random.uniform(0, longest))
                worker.kill()
                worker.join()
            ended = worker.exitcode == 0
            killed += not ended
            assert worker.exitcode in (0, -signal.SIGKILL)
            check_kept(store, log.read_text().split())
        runs += 1
        assert report(session_of(store), folder / "report") == undisturbed
    assert runs < killed


def check_kept(path: Path, acknowledged: list[str]) -> None:
    """Every row that was acknowledged is there, once; none is damaged or came out differently."""
    if acknowledged:
        with Store(path) as store:
            assert len(store.get(acknowledged)) == len(acknowledged) == len(set(acknowledged))
            assert store.notices == store.problems() == []
            assert store.read("SELECT count(*) - count(DISTINCT key) FROM completions") == [(0,)]
