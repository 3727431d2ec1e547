"""SIGKILL at any moment: acknowledged rows are stored exactly once, and the run continues to the same end."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from bench import ROOT
from bench.models.suites import load_suite
from bench.records import Completion, ModelEntry
from bench.report.files import accuracy_csv, as_json
from bench.report.markdown import markdown
from bench.run.options import Options
from bench.run.plans import Plan, limited
from bench.run.session import Session
from bench.store import Run, Settings, Store
from bench.task.examples import evaluation_set
from bench.task.prompts import Constraint

pytest_plugins = ["pytester"]

FORK = multiprocessing.get_context("fork")
RUN = Run("night", "tiny", Settings({"weights": "ab"}, Constraint(".*", 100), "reference/1"))
BATCH = 4


def write_until_killed(path: Path, first: int, steps: int, acknowledge: int) -> None:
    """Add batch after batch, and die in the middle of one, after a number of steps of SQLite's machine."""
    left = iter(range(steps))
    with Store(path) as store:
        store.database.set_progress_handler(lambda: next(left, None) is None and os.kill(os.getpid(), 9), 1)
        for number in range(first, first + 10_000, BATCH):
            keys = [str(key) for key in range(number, number + BATCH)]
            store.add([(key, Completion(f"answer {key}", "stop", 1)) for key in keys], RUN)
            os.write(acknowledge, "".join(f"{key}\n" for key in keys).encode())


def test_a_writer_killed_at_any_step_loses_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    """One store, 120 writers in turn, each killed some steps later than the last."""
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
        assert rows == distinct and rows % BATCH == 0  # a batch is stored completely or not at all
        assert rows <= len(acknowledged) + 120 * BATCH
        assert store.notices == store.problems() == []


Sessions = Callable[[Path | str], Session]


def evaluate_both(session_of: Sessions, path: Path, acknowledge: int, seconds: float) -> None:
    """The work of a worker that prints the rows acknowledged by the store, and is then killed."""
    threading.Thread(target=die_after, args=(seconds,), daemon=True).start()
    session = session_of(path)
    add = session.store.add

    def add_and_tell(rows: list[tuple[str, Completion]], run: Run) -> int:
        added = add(rows, run)
        os.write(acknowledge, "".join(f"{key}\n" for key, _ in rows).encode())
        return added

    session.store.add = add_and_tell
    session.evaluate(*session.suite.models)


def die_after(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        time.sleep(0.001)
    os.kill(os.getpid(), signal.SIGKILL)


def report(session: Session) -> tuple[str, str, dict[str, object]]:
    """A report's pages and figures, without the lines on the time of its rows."""
    session.evaluate(*session.suite.models)
    results = session.results([session.suite.pairs], {"run": "night"})
    found = as_json(results)
    for model in found["models"].values():
        del model["run"]
    return markdown(results), accuracy_csv(results), found


@pytest.fixture
def embedded(plan: Plan) -> Sessions:
    """A session with the first embedded pair and the default engine. A batch has a few examples."""
    suite = load_suite("embedded")
    pair = suite.pairs[0]
    suite = replace(suite, models={name: suite.models[name] for name in (pair.base, pair.variant)})
    options = Options(engine="speculative", pack_tokens="512", batch_size="1", wait=60)
    asked = replace(plan, examples=limited(evaluation_set(), 24), options=options)
    return lambda store: Session(replace(suite, pairs=(pair,)), asked, Store(store))


@pytest.mark.parametrize(
    ("models_of", "kills"),
    [
        pytest.param("session_of", 10, id="random models"),
        pytest.param("embedded", 200, id="embedded", marks=[pytest.mark.nightly, pytest.mark.timeout(7200)]),
    ],
)
def test_a_run_killed_at_random_moments_ends_with_the_report_of_an_undisturbed_one(
    models_of: str, kills: int, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Each run is killed and started again until it ends by itself. Then a new run begins."""
    session_of: Sessions = request.getfixturevalue(models_of)
    random = Random(f"kills/{kills}")
    undisturbed = report(session_of(":memory:"))
    start = time.process_time()
    assert report(session_of(":memory:")) == undisturbed
    longest = time.process_time() - start
    killed = runs = 0
    while killed < kills:
        folder = tmp_path / str(runs)
        store, log = folder / "store.sqlite", folder / "acknowledged"
        folder.mkdir()
        ended = False
        while not ended:
            with log.open("ab", buffering=0) as file:
                arguments = (session_of, store, file.fileno(), random.uniform(0, longest))
                worker = FORK.Process(target=evaluate_both, args=arguments)
                worker.start()
                worker.join()
            ended = worker.exitcode == 0
            killed += not ended
            assert worker.exitcode in (0, -signal.SIGKILL)
            check_kept(store, log.read_text().split())
        runs += 1
        assert report(session_of(store)) == undisturbed


def check_kept(path: Path, acknowledged: list[str]) -> None:
    """Every acknowledged row is stored exactly once. None is damaged or different."""
    if acknowledged:
        with Store(path) as store:
            assert len(store.get(acknowledged)) == len(acknowledged) == len(set(acknowledged))
            assert store.notices == store.problems() == []
            assert store.read("SELECT count(*) - count(DISTINCT key) FROM completions") == [(0,)]


FAULT = """
import os, signal, time
from pathlib import Path
from bench.store import Store

add, marker = Store.add, Path(__file__).with_name("armed")

def die(): os.kill(os.getpid(), signal.SIGKILL)
def kill_the_controller(): os.kill(os.getppid(), signal.SIGKILL); time.sleep(60)
def leave(): os._exit(3)
def hang(): time.sleep(600)

def add_at_last(store, rows, run):
    left = int(marker.read_text()) if marker.exists() else 0
    if left == 1:
        marker.unlink()
        {fault}()
    if left:
        marker.write_text(str(left - 1))
    return add(store, rows, run)

Store.add = add_at_last
"""


class Night:
    """Runs of the project's tests on two random models and one store, in separate processes."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester, self.path = pytester, pytester.path

    def command(self, *options: str) -> list[str]:
        return [
            sys.executable, "-m", "pytest", f"--rootdir={ROOT}", f"--config-file={ROOT / 'pytest.ini'}",
            "-p", "no:cacheprovider", str(ROOT / "tests" / "hypotheses" / "test_code.py"),
            "--boxes-suite=suite.toml", "--boxes-store=store.sqlite", "--boxes-report-dir=reports",
            "--boxes-limit=4", "--boxes-engine=reference", "--boxes-batch-size=1", *options,
        ]  # fmt: skip

    def run(self, *options: str) -> pytest.RunResult:
        return self.pytester.run(*self.command(*options))

    def arm(self, fault: str, writes: int) -> None:
        """The process at the n-th write has the fault, once."""
        (self.path / "fault.py").write_text(FAULT.format(fault=fault))
        (self.path / "armed").write_text(str(writes))

    def figures(self) -> str:
        return (self.path / "reports" / "latest" / "accuracy.csv").read_bytes().decode()

    def rows(self) -> int:
        with Store(self.path / "store.sqlite") as store:
            assert store.notices == store.problems() == []
            [(rows, distinct)] = store.read("SELECT count(*), count(DISTINCT key) FROM completions")
        assert rows == distinct
        return rows


@pytest.fixture
def night(pytester: pytest.Pytester, models: dict[str, ModelEntry]) -> Night:
    lines = [f'[[models]]\nname = "{entry.name}"\npath = "{entry.path}"' for entry in models.values()]
    pair = '[[pairs]]\nhypothesis = "code"\nbase = "one"\nvariant = "two"'
    (pytester.path / "suite.toml").write_text("\n".join(['name = "random"', *lines, pair]))
    return Night(pytester)


@pytest.fixture(scope="module")
def undisturbed(session_of: Sessions) -> str:
    """The final figures of every run. They are made before pytester, which forgets torch's imports."""
    session = session_of(":memory:")
    session.evaluate("one", "two")
    return accuracy_csv(session.results([session.suite.pairs], {}))


AT_THE_N_TH_WRITE = pytest.mark.parametrize(
    "writes", [3, *(pytest.param(n, marks=pytest.mark.nightly) for n in (1, 4, 5, 8))]
)


@AT_THE_N_TH_WRITE
def test_a_killed_worker_costs_one_case_and_no_answer(writes: int, night: Night, undisturbed: str) -> None:
    night.arm("die", writes)
    first = night.run("-n1", "-p", "fault")
    assert first.ret == 1 and first.parseoutcomes()["failed"] == 1
    first.stdout.fnmatch_lines(["*worker 'gw0' crashed while running*"])
    assert night.rows() == 8  # another worker continued where it stopped
    assert night.figures() == undisturbed
    assert night.run().ret == 0
    assert night.figures() == undisturbed


@AT_THE_N_TH_WRITE
def test_a_killed_controller_is_followed_by_a_run_that_goes_on(
    writes: int, night: Night, undisturbed: str
) -> None:
    night.arm("kill_the_controller", writes)
    assert night.run("-n1", "-p", "fault").ret == -signal.SIGKILL
    assert night.rows() == writes - 1
    assert night.run().ret == 0
    assert night.rows() == 8
    assert night.figures() == undisturbed


@pytest.mark.nightly
def test_a_run_that_lost_its_only_worker_names_its_cases_and_the_next_goes_on(night: Night) -> None:
    night.arm("leave", writes=3)
    result = night.run("-n1", "--max-worker-restart=0", "-p", "fault")
    assert result.ret == 1
    result.stdout.re_match_lines([r".*cases lost", r"\d+ collected cases never report", r".*test_code.py::"])
    assert night.run().ret == 0


@pytest.mark.nightly
def test_a_hang_fails_one_case_and_not_the_night(night: Night) -> None:
    night.arm("hang", writes=3)
    result = night.run("-p", "fault", "--timeout=180")
    assert result.ret == 1 and sum(result.parseoutcomes().get(kind, 0) for kind in ("failed", "errors")) == 1
    assert night.rows() == 8
    assert night.run().ret == 0


@pytest.mark.nightly
def test_two_runs_at_once_share_the_work_and_both_end_right(night: Night, undisturbed: str) -> None:
    folders = ("reports", "others")
    runs = [
        subprocess.Popen(night.command("-n2", f"--boxes-report-dir={folder}"), cwd=night.path)
        for folder in folders
    ]
    assert [run.wait(600) for run in runs] == [0, 0]
    one, other = ((night.path / folder / "latest" / "accuracy.csv").read_bytes() for folder in folders)
    assert one.decode() == other.decode() == undisturbed
    with Store(night.path / "store.sqlite") as store:
        assert sorted(run["rows"] for run in store.runs()) == [4, 4]  # each model in one run
