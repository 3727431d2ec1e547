"""path -> connection: a SQLite file, opened safely, with a known schema and without damaged pages."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from bench.inputs import InputError, place
from bench.outputs import check_space

SCHEMA_VERSION = 1
APPLICATION_ID = 0x426F7865  # "Boxe", in the file's header: this is one of our stores
BUSY_SECONDS = 60.0
NETWORK = (
    "nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "lustre", "gpfs", "beegfs", "glusterfs", "9p",
    "fuse.sshfs", "fuse.glusterfs", "fuse.ceph-fuse",
)  # fmt: skip

SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL, settings_digest TEXT NOT NULL, model TEXT NOT NULL,
    started TEXT NOT NULL, settings TEXT NOT NULL, metadata TEXT NOT NULL, counters TEXT NOT NULL,
    UNIQUE (id, settings_digest)
);
CREATE TABLE IF NOT EXISTS completions (
    number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, text TEXT NOT NULL, finish_reason TEXT NOT NULL,
    prompt_tokens INTEGER NOT NULL, token_ids TEXT NOT NULL, digest TEXT NOT NULL, run INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS quarantine (
    number INTEGER PRIMARY KEY, key TEXT NOT NULL, row TEXT NOT NULL, seen TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS disagreements (
    number INTEGER PRIMARY KEY, key TEXT NOT NULL, text TEXT NOT NULL, finish_reason TEXT NOT NULL,
    run INTEGER NOT NULL, seen TEXT NOT NULL, UNIQUE (key, text, finish_reason)
);
"""
DAMAGED = (sqlite3.DatabaseError, UnicodeDecodeError)  # SQLite's message on a damaged schema may not be UTF-8
NOT_THE_FILE = tuple(f"SQLITE_{why}" for why in ("BUSY", "CANTOPEN", "FULL", "IOERR", "PERM", "READONLY"))
TABLES = ("runs", "completions", "quarantine", "disagreements")
BESIDE = ("-wal", "-shm", "-journal", ".lock", ".locks")  # endings of the files beside a store
LEAST_FREE_BYTES = 20_000_000  # more than a few models write
LEAST_ROW_BYTES = 64  # no row is smaller
LAST_NUMBER = 2**63 - 1  # the largest row number in SQLite


def open_database(path: Path | str) -> tuple[sqlite3.Connection, list[str]]:
    """A connection, and sentences for the user (a network file system, a recovery).

    Raises ValueError if the path is not a store, cannot be written, has a newer schema, or is damaged and in
    use.
    """
    if str(path) == ":memory:":
        return create(connect(path)), []
    path = real(path)
    with explaining(path):
        check_path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = f"{path}.lock"
        # where no file can be made, as in /proc, FileLock would wait until its timeout
        os.close(os.open(lock, os.O_RDWR | os.O_CREAT, 0o666))
        # one opener at a time, so that others see a complete schema or a complete recovery
        with FileLock(lock, timeout=BUSY_SECONDS):
            return open_file(path)


def open_to_read(path: Path | str) -> tuple[sqlite3.Connection, list[str]]:
    """A connection that writes nothing to the file or beside it. Raises InputError."""
    path = real(path)
    notices = []
    with explaining(path):
        check_path(path)
        uri = f"{path.absolute().as_uri()}?mode=ro"
        if not os.access(path.parent, os.W_OK):  # nobody writes here, so SQLite needs no files beside it
            uri += "&immutable=1"
            if (log := path.with_name(f"{path.name}-wal")).exists() and log.stat().st_size:
                notices.append(f"{log} cannot be read in a read-only folder. Its rows are left out")
        connection = connect(uri)
        check_schema(connection, path)
        if is_damaged(connection):
            connection.close()
            raise InputError(f"{path} is damaged. Run python -m bench store verify --store {path} first.")
        return connection, notices


@contextmanager
def explaining(path: Path) -> Iterator[None]:
    """Errors that opening a store can cause, as InputError."""
    try:
        yield
    except Timeout:
        raise InputError(f"another process is opening {path}. Start again when it is done.") from None
    except sqlite3.Error as error:
        raise InputError(explained(error, path)) from None
    except OSError as error:
        raise InputError(f"cannot open the store {path}: {error.strerror}. Choose another file.") from None


def real(path: Path | str) -> Path:
    """The file itself. Beside a link, SQLite's files and our locks would have other names."""
    path = place(path)
    return path.resolve() if path.is_symlink() else path


def check_store(path: Path | str) -> None:
    """Raises InputError if the store cannot be opened. It does not create a store."""
    path = place(path)
    if path.exists():
        open_database(path)[0].close()
        return
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir():
        raise InputError(f"cannot open the store {path}: {folder} is not a folder. Choose another.")
    check_space(folder, LEAST_FREE_BYTES)


def existing_store(path: Path | str) -> Path:
    """The path of a store that is read. Raises InputError if there is none."""
    path = place(path)
    if not path.exists():
        raise InputError(f"no store at {path}. Give one with --store. pytest --boxes-store creates it.")
    return path


def check_path(path: Path) -> None:
    """Refuse a file that is not a store, before anything is written to it or beside it."""
    if path.is_dir():
        raise InputError(f"{path} is a folder, not a store. Give a file, such as {path / 'store.sqlite'}.")
    if path.exists() and not path.is_file():
        raise InputError(f"{path} is not a file, so not a store. Give a file, such as store.sqlite.")
    if path.exists() and path.stat().st_size and not is_store(path):
        raise InputError(f"{path} is not a store of completions and would be overwritten. Choose another.")


def is_store(path: Path) -> bool:
    """Whether the file has the header of our stores."""
    with path.open("rb") as file:
        return int.from_bytes(file.read(72)[68:72]) == APPLICATION_ID


def open_file(path: Path) -> tuple[sqlite3.Connection, list[str]]:
    notices = []
    journal = "WAL"
    if filesystem(path, read_mounts()) in NETWORK:
        journal = "DELETE"  # WAL needs memory that all users of the file share
        notices.append(f"{path} is on a network file system. One store per node, merged at the end, is safer")
    connection = connect(path)
    try:
        check_schema(connection, path)
        if is_damaged(connection):
            connection.close()
            connection, notice = salvage(path)
            notices.append(notice)
        create(connection)
        connection.execute(f"PRAGMA journal_mode={journal}")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")  # a read-only file is refused here
        return connection, notices
    except BaseException:
        connection.close()
        raise


def connect(path: Path | str) -> sqlite3.Connection:
    """A connection to a file, given as path or URI."""
    is_uri = str(path).startswith("file:")
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, uri=is_uri)
    connection.text_factory = lambda raw: raw.decode("utf-8", "replace")  # a flipped bit must not raise
    return connection


def check_schema(connection: sqlite3.Connection, path: Path) -> None:
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.DatabaseError:
        return  # a damaged file has no readable version
    if version > SCHEMA_VERSION:
        raise InputError(
            f"{path} has schema {version}, but this version reads only up to {SCHEMA_VERSION}. "
            "Upgrade entity-tracking-bench, or choose another store."
        )


def create(connection: sqlite3.Connection) -> sqlite3.Connection:
    """Create the missing tables."""
    if connection.execute("PRAGMA user_version").fetchone() != (SCHEMA_VERSION,):
        header = f"PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={SCHEMA_VERSION};"
        connection.executescript(f"BEGIN IMMEDIATE; {SCHEMA} {header} COMMIT")
    return connection


def is_damaged(connection: sqlite3.Connection) -> bool:
    """Whether SQLite's check finds damaged pages. Digests check the contents of the rows."""
    try:
        whole = connection.execute("PRAGMA integrity_check(1)").fetchone() == ("ok",)
        return not whole or schema_of(connection) not in ([], schema_of(create(connect(":memory:"))))
    except DAMAGED as error:
        if getattr(error, "sqlite_errorname", "").startswith(NOT_THE_FILE):
            raise
        return True


def schema_of(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    return connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()


def salvage(path: Path) -> tuple[sqlite3.Connection, str]:
    """Move a damaged store aside and copy its readable rows into a new one."""
    refuse_if_in_use(path)
    aside = path.with_name(f"{path.name}.damaged-{time.time_ns()}")
    for suffix in ("-wal", "-shm", ""):  # the store itself last, so that a kill repeats the recovery
        if (part := path.with_name(path.name + suffix)).exists():
            part.rename(aside.with_name(aside.name + suffix))
    fresh = create(connect(path))
    with closing(connect(aside)) as damaged:
        most = aside.stat().st_size // LEAST_ROW_BYTES + 1
        copied = {table: copy_readable(damaged, fresh, table, most) for table in TABLES}
    return fresh, (
        f"{path} was damaged: {copied['completions']} completions were recovered, and the others are "
        f"computed again. The damaged file is kept as {aside.name}"
    )


def refuse_if_in_use(path: Path) -> None:
    """Raises InputError if another process uses the store. Moving it then would lose that process's rows.

    Only the last user of a file can end its WAL mode. SQLite refuses all others.
    """
    with closing(connect(path)) as connection:
        connection.execute("PRAGMA busy_timeout=1000")
        try:
            connection.execute("PRAGMA journal_mode=DELETE")
        except DAMAGED as error:
            if "locked" in str(error):
                raise InputError(
                    f"{path} is damaged, and another run is using it. End that run and start again. "
                    "The readable rows will be recovered."
                ) from None


def copy_readable(damaged: sqlite3.Connection, fresh: sqlite3.Connection, table: str, most: int) -> int:
    """Copy row by row, by number, so that a damaged page costs only its own rows. Returns the copied rows.

    most: the largest number of rows that the file can have.
    """
    copied = 0
    fresh.execute("BEGIN IMMEDIATE")
    for number in numbers_around(readable_numbers(damaged, table), most):
        try:
            row = damaged.execute(f"SELECT * FROM {table} WHERE number = ?", (number,)).fetchone()
        except DAMAGED:
            continue
        if row:
            slots = ", ".join("?" * len(row))
            copied += fresh.execute(f"INSERT OR IGNORE INTO {table} VALUES ({slots})", row).rowcount
    fresh.execute("COMMIT")
    return copied


def readable_numbers(damaged: sqlite3.Connection, table: str) -> set[int]:
    """Row numbers from both ends of the table and from its index of keys, each up to a damaged page.

    After a prune the numbers can begin anywhere, so a search from 1 might find none.
    """
    seen = {0}
    for order in ("number", "number DESC", "id" if table == "runs" else "key"):
        with suppress(*DAMAGED):
            for (number,) in damaged.execute(f"SELECT number FROM {table} ORDER BY {order}"):
                if isinstance(number, int):  # a damaged page can give NULL
                    seen.add(number)
    return seen


def numbers_around(seen: Iterable[int], most: int) -> Iterator[int]:
    """Every row number near one of the seen numbers, once, in ascending order."""
    first = 0
    for number in sorted(seen):
        beyond = min(number + most, LAST_NUMBER) + 1
        yield from range(max(first, number - most), beyond)
        first = max(first, beyond)


def read_mounts() -> str:
    """The kernel's table of mounts; empty without one (macOS, Windows). The path then counts as local."""
    mounts = Path("/proc/mounts")
    return mounts.read_text() if mounts.exists() else ""


def filesystem(path: Path, mounts: str) -> str:
    """The type of a path's file system, from the kernel's table of mounts."""
    kinds = {fields[1].replace(r"\040", " "): fields[2] for fields in map(str.split, mounts.splitlines())}
    return next((kinds[str(parent)] for parent in path.resolve().parents if str(parent) in kinds), "")


def explained(error: sqlite3.Error, path: Path | str) -> str:
    """SQLite's error as one line: what, why, what to do."""
    name = error.sqlite_errorname
    if name == "SQLITE_FULL" or name.startswith("SQLITE_IOERR"):
        advice = "The stored rows are intact. Free some space and start again"
    elif name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        advice = "Choose a file in a folder that you may write to"
    elif name.startswith("SQLITE_BUSY"):
        advice = "Another process is writing to it. Start again when it is done"
    else:
        advice = "Start again. Opening a damaged store recovers its rows"
    return f"cannot use the store {path}: {error}. {advice}."


def to_json(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=str)
