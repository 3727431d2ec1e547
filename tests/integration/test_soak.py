"""SIGKILL in the middle of every command that writes: nothing is lost, doubled or damaged. Nightly,
resumable. The clock of every second try is 400 days fast or slow.

BOXES_SOAK_KILLS: the least number of kills a command (default 20). BOXES_SOAK_MINUTES: the least time of the
whole soak, shared equally by the commands (default 0). BOXES_SOAK_LOG: a file to which each try is added as a
line of JSON; a soak that is started again goes on behind its last line.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from random import Random

import pytest
import pyzipper

from bench.commands import main
from bench.nights.files import load, save
from bench.nights.regression import night_of
from bench.records import Completion, ModelEntry
from bench.report.files import write
from bench.report.history import write_history
from bench.run.session import Session
from bench.store import Run, Settings, Store
from bench.task.prompts import Constraint
from fixtures.clock import shift_clock

FORK = multiprocessing.get_context("fork")
KILLS = int(os.environ.get("BOXES_SOAK_KILLS", "20"))
MINUTES = float(os.environ.get("BOXES_SOAK_MINUTES", "0"))
COMMANDS = ("export", "merge", "prune", "generate", "save", "run", "score", "report", "train")
ONE = Run("a", "one", Settings({"weights": "a"}, Constraint(".*", 100), "reference/1"))
TWO = Run("b", "two", Settings({"weights": "b"}, Constraint(".*", 100), "reference/1"))

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(7200)]


@dataclass
class Soak:
    """One command under kills. act: the killed work, in its own process. check: the conditions afterwards."""

    name: str
    folder: Path
    act: Callable[[], object]
    check: Callable[[], object]
    again: Callable[[], object] = lambda: None  # before each try
    random: Random = field(default_factory=Random)

    def run(self, kills: int) -> dict[str, int]:
        """Kill tries at random moments, up to a number of kills. Returns the kills and the complete tries."""
        end = time.monotonic() + 60 * MINUTES / len(COMMANDS)
        longest, killed, whole = self.measure(), 0, 0
        while killed < kills or time.monotonic() < end:
            self.again()
            days = self.random.choice((0, 0, -400, 400))
            worker = FORK.Process(target=quietly, args=(self.act, days))
            worker.start()
            worker.join(self.random.uniform(0, 1.05 * longest))
            worker.kill()
            worker.join()
            killed, whole = killed + (worker.exitcode != 0), whole + (worker.exitcode == 0)
            assert worker.exitcode in (0, -signal.SIGKILL), f"{self.name} ended with {worker.exitcode}"
            self.check()
            note(self.name, worker.exitcode)
        self.again()
        assert self.try_once() == 0
        self.check()
        return {"killed": killed, "whole": whole}

    def measure(self) -> float:
        self.again()
        start = time.monotonic()
        assert self.try_once() == 0
        self.check()
        return time.monotonic() - start

    def try_once(self) -> int | None:
        worker = FORK.Process(target=quietly, args=(self.act,))
        worker.start()
        worker.join()
        return worker.exitcode


def quietly(act: Callable[[], object], days: int = 0) -> None:
    shift_clock(days)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    raise SystemExit(act() or 0)


def note(name: str, exitcode: int | None) -> None:
    if log := os.environ.get("BOXES_SOAK_LOG"):
        with open(log, "a", encoding="utf-8") as file:
            file.write(json.dumps({"command": name, "exit": exitcode, "at": time.time()}) + "\n")


def left(name: str) -> int:
    """The number of kills left."""
    log = Path(os.environ.get("BOXES_SOAK_LOG", os.devnull))
    done = [json.loads(line) for line in log.read_text().splitlines()] if log.is_file() else []
    return KILLS - sum(line["command"] == name and line["exit"] != 0 for line in done)


def rows(store: Path) -> dict[str, str]:
    """Every row of an intact store, by key. A kill before the first table leaves an empty file."""
    if not store.exists() or not store.stat().st_size:
        return {}
    with closing(sqlite3.connect(store)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        found = database.execute("SELECT key, text FROM completions").fetchall()
    assert len(found) == len(dict(found))
    return dict(found)


def fill(path: Path, run: Run, first: int, count: int) -> dict[str, str]:
    texts = {f"{number}": f"answer {number}" for number in range(first, first + count)}
    with Store(path) as store:
        store.add([(key, Completion(text, "stop", 1)) for key, text in texts.items()], run)
    return texts


def whole(folder: Path) -> None:
    """Every file of a report has the right ending for its kind."""
    ends = {".png": b"IEND\xaeB`\x82", ".svg": b"</svg>", ".html": b"</html>", ".json": b"}", ".csv": b"\n"}
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {"report.md", "report.html", "results.json", "accuracy.csv"} <= {path.name for path in files}
    for path in files:
        assert (
            path.read_bytes()
            .rstrip(b"\n" if path.suffix != ".csv" else b"")
            .endswith(ends.get(path.suffix, b""))
        ), path


def soak_export(folder: Path) -> Soak:
    output, stores = folder / "rows.jsonl", [folder / "a.sqlite", folder / "b.sqlite"]
    for number, store in enumerate(stores):
        fill(store, ONE, 5000 * number, 5000)
    turns, allowed = iter(range(10**9)), []
    for store in stores:
        main(["store", "export", "--store", str(store), "--output", str(output)])
        allowed.append(output.read_bytes())

    def act() -> int:
        return main(["store", "export", "--store", str(stores[next(turns) % 2]), "--output", str(output)])

    return Soak("export", folder, act, lambda: is_one_of(output.read_bytes(), allowed), lambda: next(turns))


def is_one_of(found: object, allowed: list) -> None:
    assert found in allowed


def soak_merge(folder: Path) -> Soak:
    target, other = folder / "target.sqlite", folder / "other.sqlite"
    before, added = fill(folder / "good.sqlite", ONE, 0, 500), fill(other, TWO, 500, 5000)

    def again() -> None:
        for suffix in ("", "-wal", "-shm"):
            Path(f"{target}{suffix}").unlink(missing_ok=True)
        target.write_bytes((folder / "good.sqlite").read_bytes())

    act = partial(main, ["store", "merge", "--store", str(target), str(other)])
    return Soak("merge", folder, act, lambda: is_one_of(rows(target), [before, before | added]), again)


def soak_prune(folder: Path) -> Soak:
    target, good = folder / "target.sqlite", folder / "good.sqlite"
    old, kept = fill(good, ONE, 0, 5000), fill(good, TWO, 5000, 500)

    def again() -> None:
        for suffix in ("", "-wal", "-shm"):
            Path(f"{target}{suffix}").unlink(missing_ok=True)
        target.write_bytes(good.read_bytes())

    act = partial(main, ["store", "prune", "--store", str(target), "--model", "one"])
    return Soak("prune", folder, act, lambda: is_one_of(rows(target), [old | kept, kept]), again)


def soak_generate(folder: Path) -> Soak:
    allowed: dict[str, list[bytes]] = {}
    seeds = ["1", "2"]
    turns = iter(range(10**9))
    for seed in seeds:
        generate(folder, seed)
        for path in folder.iterdir():
            allowed.setdefault(path.name, []).append(path.read_bytes())

    def check() -> None:
        assert {path.name for path in folder.iterdir() if not path.name.startswith(".writing-")} == set(
            allowed
        )
        for name, contents in allowed.items():
            if name.endswith(".jsonl"):
                is_one_of((folder / name).read_bytes(), contents)
            else:
                with pyzipper.AESZipFile(folder / name) as archive:
                    archive.setpassword(b"x")
                    assert archive.testzip() is None

    return Soak(
        "generate", folder, lambda: generate(folder, seeds[next(turns) % 2]), check, lambda: next(turns)
    )


def generate(folder: Path, seed: str) -> int:
    options = ["--out", str(folder), "--scenarios", "60", "--seed", seed]
    return main(["generate", *options]) or main(["generate", *options, "--password", "x"])


def soak_save(folder: Path, session: Session) -> Soak:
    session.evaluate(*session.suite.models)
    night = night_of(session.results([session.suite.pairs], {"run": "one", "protocol": "p"}))
    other = replace(night, metadata={**night.metadata, "run": "two"})
    path = folder / "saved" / "night.json"
    turns = iter(range(10**9))

    def act() -> None:
        save([night, other][next(turns) % 2], path)
        write_history(path.parent)

    def check() -> None:
        is_one_of(replace(load(path), name=""), [night, other])
        assert (folder / "history.html").read_text().rstrip().endswith("</html>")

    return Soak("save", folder, act, check, lambda: next(turns))


def soak_run(folder: Path, session_of: Callable[[Path], Session]) -> Soak:
    """Write like a run of pytest: answers into a store, batch by batch, then the report and `latest`."""
    store, reports, undisturbed = (folder / name for name in ("store.sqlite", "reports", "undisturbed"))
    kept: set[str] = set()
    turns = iter(range(10**9))

    def write_run(store: Path, report: Path) -> None:
        session = session_of(store)
        session.evaluate(*session.suite.models)
        results = session.results([session.suite.pairs], {"run": "night"})
        write(results, report, session.suite, session.plan.examples)

    def again() -> None:
        if finished():  # the next try begins again
            store.unlink()
            shutil.rmtree(reports)
            kept.clear()
        next(turns)

    def finished() -> list[Path]:
        """The reports that are in their place."""
        return [path for path in reports.glob("*") if not path.name.startswith(".writing-")]

    def check() -> None:
        found = set(rows(store))
        assert kept <= found
        kept.update(found)
        for path in finished():
            whole(path)
            assert (path / "accuracy.csv").read_bytes() == figures

    write_run(folder / "imports.sqlite", undisturbed)  # this process has the imports of each try
    figures = (undisturbed / "accuracy.csv").read_bytes()
    return Soak("run", folder, lambda: write_run(store, reports / str(next(turns))), check, again)


def soak_score(folder: Path, models: dict[str, ModelEntry]) -> Soak:
    lines = [f'[[models]]\nname = "{entry.name}"\npath = "{entry.path}"' for entry in models.values()]
    (folder / "suite.toml").write_text("\n".join(['name = "random"', *lines]))
    store = folder / "store.sqlite"
    kept: set[str] = set()

    def again() -> None:
        if len(kept) == 4:
            store.unlink()
            kept.clear()

    def check() -> None:
        found = set(rows(store))
        assert kept <= found
        kept.update(found)

    command = ["score", f"--suite={folder / 'suite.toml'}", "--limit=2", "--engine=reference"]
    command.append("--batch-size=1")
    # imports here save the import time of each try; this process keeps its store open, so it has its own
    assert main([*command, f"--store={folder / 'imports.sqlite'}"]) == 0
    return Soak("score", folder, partial(main, [*command, f"--store={store}"]), check, again)


def soak_report(folder: Path, models: dict[str, ModelEntry]) -> Soak:
    assert soak_score(folder, models).try_once() == 0
    pair = '\n[[pairs]]\nhypothesis = "code"\nbase = "one"\nvariant = "two"\n'
    (folder / "suite.toml").write_text((folder / "suite.toml").read_text() + pair)
    reports = folder / "reports"
    options = [f"--suite={folder / 'suite.toml'}", "--limit=2", f"--report-dir={reports}"]
    act = partial(main, ["report", str(folder / "store.sqlite"), *options])
    assert act() == 0
    return Soak("report", folder, act, lambda: whole(reports / "latest"))


def soak_train(folder: Path) -> Soak:
    import torch

    from bench.training import train as training
    from bench.training.arms import Arm, Stage

    stages = (Stage("short", 10 * 256, 128, 256), Stage("distracted", 10 * 256, 256, 256))
    arm, out = Arm(None, stages, 0.02, 4e-3), folder / "toy"
    tokenizer = training.train_tokenizer(0)  # once, so that most kills meet the steps and the checkpoints

    def act() -> None:
        torch.set_num_threads(1)
        training.ARMS["toy"] = arm
        training.held_out = frozenset
        training.train_tokenizer = lambda seed: tokenizer
        training.CHECKPOINT_SECONDS = 0
        torch.compile = lambda function: function
        trained = training.train("toy", out=out)
        (folder / "losses").write_text(json.dumps(trained.losses))

    def check() -> None:
        if (out / "checkpoint.pt").exists():
            torch.load(out / "checkpoint.pt", weights_only=True)
        if (folder / "losses").exists():
            made.add(((folder / "losses").read_text(), (out / "model.safetensors").read_bytes()))
            [(losses, _)] = made  # the same as those of the undisturbed training
            assert len(json.loads(losses)) == 20

    def again() -> None:
        if (folder / "losses").exists():
            (folder / "losses").unlink()
            (out / "checkpoint.pt").unlink()

    made: set[tuple[str, bytes]] = set()
    return Soak("train", folder, act, check, again)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_killed_at_random_moments_loses_and_breaks_nothing(
    name: str,
    session_of: Callable[[Path | str], Session],
    models: dict[str, ModelEntry],
    tmp_path: Path,
) -> None:
    made = {
        "export": soak_export, "merge": soak_merge, "prune": soak_prune, "generate": soak_generate,
        "save": lambda folder: soak_save(folder, session_of(":memory:")),
        "run": lambda folder: soak_run(folder, session_of),
        "score": lambda folder: soak_score(folder, models),
        "report": lambda folder: soak_report(folder, models),
        "train": soak_train,
    }  # fmt: skip
    if (kills := left(name)) > 0:
        soak = made[name](tmp_path)
        soak.random = Random(f"soak/{name}/{kills}")
        assert soak.run(kills)["killed"] >= kills
