"""One process a model, one model a GPU: file locks, which the system frees when their holder dies."""

from __future__ import annotations

import json
import os
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

POLL_SECONDS = 0.2
GPU_FOLDER = Path(tempfile.gettempdir()) / "entity-tracking-bench-gpus"  # one for all users of the machine


@contextmanager
def model_lock(
    store: Path | str, fingerprint: str, timeout: float, say: Callable[[str], object] = lambda text: None
) -> Iterator[None]:
    """Hold one model of one store: whoever waits for it finds its completions when the wait is over.

    fingerprint: hexadecimal. say: told once who holds it, if it has to be waited for.
    Raises TimeoutError, naming the holder, after `timeout` seconds. A store in memory needs no lock.
    """
    if str(store) == ":memory:":
        yield
        return
    folder = Path(f"{store}.locks")
    folder.mkdir(parents=True, exist_ok=True)
    holder = folder / f"{fingerprint[:16]}.holder"
    lock = FileLock(folder / f"{fingerprint[:16]}.lock")
    acquire(lock, holder, timeout, say)
    try:
        write_holder(holder)
        yield
    finally:
        lock.release()


def acquire(lock: FileLock, holder: Path, timeout: float, say: Callable[[str], object]) -> None:
    try:
        with suppress(Timeout):
            lock.acquire(timeout=0)
            return
        if timeout:
            say(f"waiting up to {timeout:.0f} s for {read_holder(holder)}, which is evaluating this model")
        lock.acquire(timeout=timeout, poll_interval=POLL_SECONDS)
    except Timeout:
        raise TimeoutError(
            f"this model has been held for over {timeout:.0f} s by {read_holder(holder)}. "
            "Wait for that run or end it, then start again."
        ) from None


def write_holder(path: Path) -> None:
    since = datetime.now(UTC).isoformat(timespec="seconds")
    fresh = path.with_suffix(f".{os.getpid()}")
    fresh.write_text(json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since}))
    os.replace(fresh, path)


def read_holder(path: Path) -> str:
    """Who holds a lock, in words."""
    try:
        said = json.loads(path.read_text())
        return f"process {said['pid']} on {said['host']} (since {said['since']})"
    except (OSError, ValueError, KeyError):
        return "another process"  # it has the lock, and has not yet said so


@contextmanager
def gpu_leases(
    visible: Sequence[str], count: int = 1, timeout: float = 86400.0, folder: Path = GPU_FOLDER
) -> Iterator[tuple[int, ...]]:
    """Lease GPUs from all processes of this machine. Yields indices into `visible`: 1 means "cuda:1".

    Whoever waits stands at the head of one queue until it has all it asked for, so two that need several
    GPUs cannot block each other, and a large request is not overtaken for ever.
    Raises ValueError if there are not so many GPUs, TimeoutError if none was free in time.
    """
    if count > len(visible):
        raise ValueError(f"{count} GPUs are asked for and {len(visible)} are visible: ask for fewer.")
    make_shared(folder)
    deadline = time.monotonic() + timeout
    with ExitStack() as held:
        with queue(folder, timeout):
            leased: dict[int, None] = {}
            while len(leased) < count:
                for index in sorted(set(range(len(visible))) - set(leased)):
                    if len(leased) < count and try_lease(held, folder / f"gpu-{slug(visible[index])}.lock"):
                        leased[index] = None
                if len(leased) < count:
                    wait_until(deadline, count)
        yield tuple(sorted(leased))


def queue(folder: Path, timeout: float) -> FileLock:
    return FileLock(folder / "queue.lock", timeout=timeout, mode=0o666)


def try_lease(held: ExitStack, path: Path) -> bool:
    lock = FileLock(path, mode=0o666)
    try:
        held.enter_context(lock.acquire(timeout=0))
    except Timeout:
        return False
    return True


def wait_until(deadline: float, count: int) -> None:
    if time.monotonic() > deadline:
        raise TimeoutError(f"no {count} GPUs came free in time: other processes hold them. Try again later.")
    time.sleep(POLL_SECONDS)


def make_shared(folder: Path) -> None:
    """A folder that every user of the machine can put locks into."""
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o1777)


def slug(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter == "-" else "_" for letter in name)
