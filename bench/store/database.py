"""path -> connection: a SQLite file opened safely, of a schema we know, with damaged pages left behind."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
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
DAMAGED = (sqlite3.DatabaseError, UnicodeDecodeError)  # the latter from SQLite's message on a damaged schema
NOT_THE_FILE = tuple(f"SQLITE_{why}" for why in ("BUSY", "CANTOPEN", "FULL", "IOERR", "PERM", "READONLY"))
TABLES = ("runs", "completions", "quarantine", "disagreements")
BESIDE = ("-wal", "-shm", "-journal", ".lock", ".locks")  # what lies beside a store, by its ending
LEAST_FREE_BYTES = 20_000_000  # more than a few models write
LEAST_ROW_BYTES = 64  # no row is smaller
LAST_NUMBER = 2**63 - 1  # of a row of SQLite


def open_database(path: Path | str) -> tuple[sqlite3.Connection, list[str]]:
    """A connection, and sentences on what the user should know (a network file system, a salvage).

    Raises ValueError if the path is no store, cannot be written, is of a newer schema, or damaged and in use.
    """
    if str(path) == ":memory:":
        return create(connect(path)), []
    path = real(path)
    try:
        check_path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        # one opener at a time: others then see a first run's schema, or a salvage, whole
        with FileLock(f"{path}.lock", timeout=BUSY_SECONDS):
            return open_file(path)
    except Timeout:
        raise InputError(f"{path} is being opened by another process. Start again when it is done.") from None
    except sqlite3.Error as error:
        raise InputError(explained(error, path)) from None
    except OSError as error:
        raise InputError(f"cannot open the store {path}: {error.strerror}. Name another file.") from None


def open_to_read(path: Path | str) -> tuple[sqlite3.Connection, list[str]]:
    """A connection that writes nothing, beside the file or into it. Raises InputError."""
    path = real(path)
    notices = []
    try:
        check_path(path)
        uri = f"{path.absolute().as_uri()}?mode=ro"
        if not os.access(path.parent, os.W_OK):  # nobody writes here, and SQLite needs no files beside it
            uri += "&immutable=1"
            if (log := path.with_name(f"{path.name}-wal")).exists() and log.stat().st_size:
                notices.append(f"{log} cannot be read where nothing can be written: its rows are left out")
        connection = connect(uri)
        check_schema(connection, path)
        if is_damaged(connection):
            connection.close()
            raise InputError(f"{path} is damaged. Run python -m bench store verify --store {path} first.")
        return connection, notices
    except sqlite3.Error as error:
        raise InputError(explained(error, path)) from None
    except OSError as error:
        raise InputError(f"cannot open the store {path}: {error.strerror}. Name another file.") from None


def real(path: Path | str) -> Path:
    """The file itself: beside a link to it, SQLite's files and our locks would have other names."""
    path = place(path)
    return path.resolve() if path.is_symlink() else path


def check_store(path: Path | str) -> None:
    """Raises InputError where opening the store would; makes none where there is none."""
    path = place(path)
    if path.exists():
        open_database(path)[0].close()
    elif not (folder := nearest_folder(path)).is_dir():
        raise InputError(f"cannot open the store {path}: {folder} is no folder. Name another.")
    else:
        check_space(folder, LEAST_FREE_BYTES)


def existing_store(path: Path | str) -> Path:
    """The path of a store that is read. Raises InputError where nothing is there."""
    path = place(path)
    if not path.exists():
        raise InputError(f"no store at {path}. Name one with --store; pytest --boxes-store makes it.")
    return path


def nearest_folder(path: Path) -> Path:
    return next(parent for parent in path.absolute().parents if parent.exists())


def check_path(path: Path) -> None:
    """Refuse what is not ours before anything is written to it or beside it."""
    if path.is_dir():
        raise InputError(f"{path} is a folder, not a store. Name a file, such as {path / 'store.sqlite'}.")
    if path.exists() and not path.is_file():
        raise InputError(f"{path} is not a file, so no store. Name a file, such as store.sqlite.")
    if path.exists() and path.stat().st_size and not is_store(path):
        raise InputError(f"{path} is not a store of completions. Name another file: it would be overwritten.")


def is_store(path: Path) -> bool:
    """Whether the file's header says that it is one of our stores."""
    with path.open("rb") as file:
        return int.from_bytes(file.read(72)[68:72]) == APPLICATION_ID


def open_file(path: Path) -> tuple[sqlite3.Connection, list[str]]:
    notices = []
    journal = "WAL"
    if filesystem(path, read_mounts()) in NETWORK:
        journal = "DELETE"  # WAL needs memory that all users of the file share
        notices.append(f"{path} is on a network file system: one store a node, merged at the end, is safer")
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
        connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")  # what is read-only is refused now
        return connection, notices
    except BaseException:
        connection.close()
        raise


def connect(path: Path | str) -> sqlite3.Connection:
    """path: a file, or a URI of one."""
    is_uri = str(path).startswith("file:")
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, uri=is_uri)
    connection.text_factory = lambda raw: raw.decode("utf-8", "replace")  # a flipped bit must not raise
    return connection


def check_schema(connection: sqlite3.Connection, path: Path) -> None:
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.DatabaseError:
        return  # damaged: no version to be read, and none to refuse
    if version > SCHEMA_VERSION:
        raise InputError(
            f"{path} has schema {version}, and this version reads up to {SCHEMA_VERSION}. "
            "Upgrade entity-tracking-bench, or name another store."
        )


def create(connection: sqlite3.Connection) -> sqlite3.Connection:
    """Make the tables where they are not there yet."""
    if connection.execute("PRAGMA user_version").fetchone() != (SCHEMA_VERSION,):
        header = f"PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={SCHEMA_VERSION};"
        connection.executescript(f"BEGIN IMMEDIATE; {SCHEMA} {header} COMMIT")
    return connection


def is_damaged(connection: sqlite3.Connection) -> bool:
    """What SQLite's own check says of the pages. What is in the rows, each row's digest checks."""
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
    """Move a damaged store aside and copy what can be read into a new one."""
    refuse_if_in_use(path)
    aside = path.with_name(f"{path.name}.damaged-{time.time_ns()}")
    for suffix in ("-wal", "-shm", ""):  # the store itself last: after a kill in between it is salvaged again
        if (part := path.with_name(path.name + suffix)).exists():
            part.rename(aside.with_name(aside.name + suffix))
    fresh = create(connect(path))
    with closing(connect(aside)) as damaged:
        most = aside.stat().st_size // LEAST_ROW_BYTES + 1
        copied = {table: copy_readable(damaged, fresh, table, most) for table in TABLES}
    return fresh, (
        f"{path} was damaged: {copied['completions']} completions were salvaged from it, the others are "
        f"computed again. The damaged file is kept as {aside.name}"
    )


def refuse_if_in_use(path: Path) -> None:
    """Moved away under another process, a store would take that one's rows with it.

    Only the last user of a file can take it out of WAL mode: SQLite refuses everyone else.
    """
    with closing(connect(path)) as connection:
        connection.execute("PRAGMA busy_timeout=1000")
        try:
            connection.execute("PRAGMA journal_mode=DELETE")
        except DAMAGED as error:
            if "locked" in str(error):
                raise InputError(
                    f"{path} is damaged, and another run is using it. End that run, then start again: "
                    "what can be read will be salvaged."
                ) from None


def copy_readable(damaged: sqlite3.Connection, fresh: sqlite3.Connection, table: str, most: int) -> int:
    """Row by row, by number: a broken page then costs its own rows only. Returns the rows copied.

    most: how many rows the file can hold.
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
    """Row numbers from both ends of the table and from its index of keys, each up to a broken page.

    After a prune the numbers begin anywhere: a search from 1 would stop before the first of them.
    """
    seen = {0}
    for order in ("number", "number DESC", "id" if table == "runs" else "key"):
        with suppress(*DAMAGED):
            for (number,) in damaged.execute(f"SELECT number FROM {table} ORDER BY {order}"):
                seen.add(number)
    return seen


def numbers_around(seen: Iterable[int], most: int) -> Iterator[int]:
    """Every row number that can be near one of the seen, once, upwards."""
    first = 0
    for number in sorted(seen):
        beyond = min(number + most, LAST_NUMBER) + 1
        yield from range(max(first, number - most), beyond)
        first = max(first, beyond)


def read_mounts() -> str:
    """The kernel's table of mounts; empty where there is none (macOS, Windows): then taken for local."""
    mounts = Path("/proc/mounts")
    return mounts.read_text() if mounts.exists() else ""


def filesystem(path: Path, mounts: str) -> str:
    """The type of the file system that a path lies on, from the kernel's table of mounts."""
    kinds = {fields[1].replace(r"\040", " "): fields[2] for fields in map(str.split, mounts.splitlines())}
    return next((kinds[str(parent)] for parent in path.resolve().parents if str(parent) in kinds), "")


def explained(error: sqlite3.Error, path: Path | str) -> str:
    """SQLite's error as one line: what, why, what to do."""
    name = error.sqlite_errorname
    if name == "SQLITE_FULL" or name.startswith("SQLITE_IOERR"):
        advice = "What was kept before is intact: free some space and start again"
    elif name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        advice = "Name a file in a folder that you may write to"
    elif name.startswith("SQLITE_BUSY"):
        advice = "Another process is writing to it: start again when it is done"
    else:
        advice = "Start again: a damaged store is salvaged when it is opened"
    return f"cannot use the store {path}: {error}. {advice}."


def to_json(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=str)
