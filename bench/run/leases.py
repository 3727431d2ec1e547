"""One process per model, one model per GPU: file locks, which the system releases when their holder dies."""

from __future__ import annotations

import os
import re
import socket
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import platformdirs
from filelock import FileLock, Timeout

from bench.inputs import InputError, read_json
from bench.outputs import write_text
from bench.text import in_words, printable

POLL_SECONDS = 0.2
Say = Callable[[str], object]


class Holder(msgspec.Struct):
    pid: int
    host: str
    since: str
    run: str = ""


@contextmanager
def model_lock(
    store: Path | str, fingerprint: str, timeout: float, say: Say = lambda text: None, run: str = ""
) -> Iterator[None]:
    """Lock one model of one store. After a wait for another process, its completions are in the store.

    fingerprint: hexadecimal. say: gets one message with the name of the holder, if there is a wait. run: the
    run of this worker. If another worker of the same run holds the model, there is no message.
    Raises TimeoutError with the name of the holder after `timeout` seconds. A store in memory needs no lock.
    """
    if str(store) == ":memory:":
        yield
        return
    lock = Path(f"{store}.locks") / f"{fingerprint[:16]}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)

    def tell(text: str) -> None:
        holder = said_by_holder(lock)
        if not (run and holder and holder.run == run):
            say(text)

    with ExitStack() as held:
        why = "this model is held by "
        wait_for(lambda: take(held, lock, run), timeout, lambda: why + holder_of(lock), tell)
        yield


@contextmanager
def gpu_leases(
    visible: Sequence[str],
    count: int = 1,
    timeout: float = 86400.0,
    say: Say = lambda text: None,
    folder: Path | None = None,
) -> Iterator[tuple[int, ...]]:
    """Lease GPUs that all processes of the user share. Yields indices into `visible`: 1 means "cuda:1".

    There is one queue. Only its first process collects GPUs, until it has all that it needs. So two processes
    that need several GPUs cannot block each other, and a large request gets its turn.
    say: gets one message in the queue, and one as its first process, each with the name of the holder.
    Raises ValueError if there are too few GPUs, and TimeoutError if none was free in time.
    """
    if count > len(visible):
        raise InputError(f"{count} GPUs are requested, but only {len(visible)} are visible. Request fewer.")
    folder = folder or gpu_folder()
    folder.mkdir(parents=True, exist_ok=True)
    locks = [folder / f"gpu-{re.sub('[^a-zA-Z0-9-]', '_', name)}.lock" for name in visible]
    queue, deadline = folder / "queue.lock", time.monotonic() + timeout
    leased: set[int] = set()

    def take_free() -> bool:
        for index in sorted(set(range(len(visible))) - leased):
            if len(leased) < count and take(held, locks[index]):
                leased.add(index)
        return len(leased) == count

    def holders() -> str:
        others = {holder_of(lock) for index, lock in enumerate(locks) if index not in leased}
        return f"{count} GPUs are needed, and others are held by {' and '.join(sorted(others))}"

    with ExitStack() as held:
        with ExitStack() as first:
            turn = "the queue for GPUs is headed by "
            wait_for(lambda: take(first, queue), timeout, lambda: turn + holder_of(queue), say)
            wait_for(take_free, deadline - time.monotonic(), holders, say)
        yield tuple(sorted(leased))


def gpu_folder() -> Path:
    """The folder of GPU leases. Only this user can write to it. Raises PermissionError."""
    with warnings.catch_warnings():  # without XDG_RUNTIME_DIR it is a private temporary folder
        warnings.simplefilter("ignore", platformdirs.RuntimeDirWarning)
        return platformdirs.user_runtime_path("entity-tracking-bench", ensure_exists=True)


def take(held: ExitStack, path: Path, run: str = "") -> bool:
    """Take a lock if it is free, and write the holder's name beside it."""
    try:
        held.enter_context(FileLock(path).acquire(timeout=0))
    except Timeout:
        return False
    since = datetime.now(UTC).isoformat(timespec="seconds")
    holder = msgspec.json.encode(Holder(os.getpid(), socket.gethostname(), since, run))
    with suppress(OSError):  # the lock works without the name
        write_text(path.with_suffix(".holder"), holder.decode())
    return True


def holder_of(lock: Path) -> str:
    """The holder of a lock, as text."""
    said = said_by_holder(lock)
    if said is None:
        return "another process"
    return f"process {said.pid} on {printable(said.host)} (since {printable(said.since)})"


def said_by_holder(lock: Path) -> Holder | None:
    """The holder's own words; None if it has the lock but has not written its name yet."""
    with suppress(InputError):
        return read_json(lock.with_suffix(".holder"), Holder)
    return None


def wait_for(taken: Callable[[], bool], timeout: float, why: Callable[[], str], say: Say) -> None:
    """Try until the lock is taken. say: gets one message with the reason, as does TimeoutError."""
    deadline, told = time.monotonic() + timeout, False
    while not taken():
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError(
                f"{why()}, and has been for over {timeout:.0f} s. "
                "Wait for that run or end it, then start again."
            )
        if not told:
            say(f"waiting up to {in_words(timeout)}: {why()}")
        told = True
        time.sleep(min(POLL_SECONDS, left))
