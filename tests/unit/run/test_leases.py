"""The promises of locks: one holder, released when it dies, and named to the others."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from bench.models.machine import visible_gpus
from bench.run.leases import gpu_folder, gpu_leases, holder_of, model_lock, take

FORK = multiprocessing.get_context("fork")
FINGERPRINT = "ab" * 32


@contextmanager
def elsewhere(hold: Callable[[], object]) -> Iterator[multiprocessing.Process]:
    """Another process that holds the lock of `hold()` until it is killed."""
    ready, told = FORK.Pipe()

    def work() -> None:
        with hold() as held:
            told.send(held)
            time.sleep(60)

    process = FORK.Process(target=work)
    process.start()
    process.held = ready.recv()
    try:
        yield process
    finally:
        process.kill()
        process.join()


def test_a_model_has_one_holder_and_the_one_who_waits_is_told(tmp_path: Path) -> None:
    store = tmp_path / "store.sqlite"
    said: list[str] = []
    with elsewhere(lambda: model_lock(store, FINGERPRINT, timeout=0)) as holder:
        with (
            pytest.raises(TimeoutError, match=f"is held by process {holder.pid} on .* has been for over 0 s"),
            model_lock(store, FINGERPRINT, timeout=0.3, say=said.append),
        ):
            pass
        assert f"process {holder.pid} on" in said[0]
        with model_lock(store, "cd" * 32, timeout=0):
            pass  # another model is free


@pytest.mark.parametrize(("run", "told"), [("monday", 0), ("tuesday", 1)])
def test_workers_of_one_run_wait_for_each_other_in_silence(run: str, told: int, tmp_path: Path) -> None:
    store = tmp_path / "store.sqlite"
    said: list[str] = []
    with (
        elsewhere(lambda: model_lock(store, FINGERPRINT, timeout=0, run="monday")),
        pytest.raises(TimeoutError),
        model_lock(store, FINGERPRINT, timeout=0.3, say=said.append, run=run),
    ):
        pass
    assert len(said) == told


def test_a_model_is_free_as_soon_as_its_holder_is_killed(tmp_path: Path) -> None:
    store = tmp_path / "store.sqlite"
    with elsewhere(lambda: model_lock(store, FINGERPRINT, timeout=0)) as holder:
        os.kill(holder.pid, signal.SIGKILL)
        with model_lock(store, FINGERPRINT, timeout=5):
            pass


def test_a_model_is_free_after_an_error(tmp_path: Path) -> None:
    store = tmp_path / "store.sqlite"
    with pytest.raises(FloatingPointError), model_lock(store, FINGERPRINT, timeout=0):
        raise FloatingPointError
    with model_lock(store, FINGERPRINT, timeout=0):
        pass


def test_a_store_in_memory_needs_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with model_lock(":memory:", FINGERPRINT, timeout=0), model_lock(":memory:", FINGERPRINT, timeout=0):
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("0,1", ("0", "1")),
        ("3", ("3",)),
        (" GPU-8f2a , MIG-1 ", ("GPU-8f2a", "MIG-1")),
        ("", ()),
        ("-1", ()),
        ("0,-1,1", ("0",)),
    ],
)
def test_gpus_are_those_that_cuda_would_show(value: str, names: tuple[str, ...]) -> None:
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": value}) == names


def test_all_gpus_of_the_driver_are_visible_unless_told_otherwise(tmp_path: Path) -> None:
    (tmp_path / "0000:3b:00.0").mkdir()
    (tmp_path / "0000:af:00.0").mkdir()
    assert visible_gpus({}, tmp_path) == ("0", "1")
    assert visible_gpus({}, tmp_path / "absent") == ()


def test_two_processes_never_lease_one_gpu(tmp_path: Path) -> None:
    """The second process sees the same card under another index, because its list begins at another card."""
    with elsewhere(lambda: gpu_leases(("0", "1"), folder=tmp_path)) as holder:
        assert holder.held == (0,)
        with gpu_leases(("1", "0"), folder=tmp_path) as leased:
            assert leased == (0,)  # card 1
        said: list[str] = []
        with (
            pytest.raises(TimeoutError, match=f"2 GPUs are needed, .* held by process {holder.pid} on"),
            gpu_leases(("1", "0"), 2, 0.3, said.append, tmp_path),
        ):
            pass
        assert len(said) == 1 and f"held by process {holder.pid} on" in said[0]
        with gpu_leases(("1", "0"), timeout=5, folder=tmp_path) as leased:
            assert leased == (0,)  # the GPUs of the process that gave up are free again


def test_a_gpu_is_free_as_soon_as_its_holder_is_killed(tmp_path: Path) -> None:
    with elsewhere(lambda: gpu_leases(("0",), folder=tmp_path)) as holder:
        os.kill(holder.pid, signal.SIGKILL)
        with gpu_leases(("0",), timeout=5, folder=tmp_path) as leased:
            assert leased == (0,)


def lease_repeatedly(folder: Path, count: int, log: Path) -> None:
    for _ in range(5):
        with gpu_leases(("0", "1"), count, timeout=60, folder=folder) as leased:
            with log.open("a") as file:
                file.write(f"{os.getpid()} + {leased}\n")
            time.sleep(0.01)
            with log.open("a") as file:
                file.write(f"{os.getpid()} - {leased}\n")


def test_workers_that_need_several_gpus_neither_block_each_other_nor_starve(tmp_path: Path) -> None:
    log = tmp_path / "log"
    gpus = tmp_path / "gpus"
    workers = [FORK.Process(target=lease_repeatedly, args=(gpus, count, log)) for count in (2, 2, 1, 1)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * 4
    held: dict[str, str] = {}
    for line in log.read_text().splitlines():
        pid, sign, leased = line.split(" ", 2)
        for gpu in (gpu for gpu in "01" if gpu in leased):
            assert held.get(gpu) == (None if sign == "+" else pid)
            held[gpu] = pid if sign == "+" else None


def test_more_gpus_than_there_are_is_a_callers_mistake(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="2 GPUs are requested, but only 1"), gpu_leases(("0",), 2, 1):
        pass


def hold_queue(folder: Path) -> ExitStack:
    held = ExitStack()
    assert take(held, folder / "queue.lock")
    return held


def test_who_stands_in_the_queue_is_told_for_whom_and_waits_no_longer_than_asked(tmp_path: Path) -> None:
    said: list[str] = []
    with (
        hold_queue(tmp_path),
        pytest.raises(TimeoutError, match=f"queue for GPUs is headed by process {os.getpid()} on"),
        gpu_leases(("0",), 1, 0.3, said.append, tmp_path),
    ):
        pass
    assert [f"headed by process {os.getpid()} on" in line for line in said] == [True]


def test_the_holder_of_a_lock_is_told_in_one_line_without_control_characters(tmp_path: Path) -> None:
    lock = tmp_path / "a.lock"
    for holder in ("", "[]", "null", '{"pid": "x"}', '{"pid": 1, "host": null, "since": 2}'):
        lock.with_suffix(".holder").write_text(holder)
        assert holder_of(lock) == "another process"
    lock.with_suffix(".holder").write_text('{"pid": 1, "host": "a\\u001b[31m\\nb", "since": "today"}')
    assert holder_of(lock) == "process 1 on a\N{REPLACEMENT CHARACTER}[31m b (since today)"


def test_gpus_are_leased_in_a_folder_that_is_the_users_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    folder = gpu_folder()
    assert folder.parent == runtime and folder.stat().st_mode & 0o077 == 0
    with gpu_leases(("0",)) as leased:
        assert leased == (0,) and (folder / "gpu-0.lock").exists()
