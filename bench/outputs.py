"""Contents -> a file or folder, all or nothing: it is written beside its place, then moved."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.inputs import InputError

PREFIX, DAY = ".writing-", 86400


@contextmanager
def replacing(path: Path, follow: bool = True) -> Iterator[Path]:
    """Yield a path to write a file or a folder to. It replaces `path` when the block ends without an error.

    An error, a full disk or a kill leaves the old contents. The temporary folder has a random name and
    belongs to the user, so nobody can put a link in its place. Files that only the old folder has are kept.
    follow: replace the folder that a link points to, not the link.
    Raises OSError, and InputError for a pipe or a device.
    """
    if not path.is_dir():
        check_replaceable(path)
    path = path.resolve() if follow and path.is_dir() else path
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(path.parent)
    room = Path(tempfile.mkdtemp(prefix=PREFIX, dir=path.parent))
    try:
        fresh = room / "new"
        yield fresh
        sync_all(fresh)
        move(fresh, path)
        sync(path.parent)
    finally:
        shutil.rmtree(room, ignore_errors=True)


def remove_abandoned(folder: Path) -> None:
    """Remove temporary folders that are a day old. A younger one may still have a writer."""
    for room in folder.glob(f"{PREFIX}*"):
        if room.lstat().st_mtime < time.time() - DAY:
            shutil.rmtree(room, ignore_errors=True)


def write_text(path: Path, text: str) -> Path:
    """Write UTF-8 text with its line ends unchanged. Raises OSError; the old file then stays."""
    with replacing(path) as fresh:
        fresh.write_text(text, encoding="utf-8", newline="")
    return path


def check_space(folder: Path, num_bytes: int) -> None:
    """Raises InputError if the disk has too little space. A quota cannot be checked in advance."""
    free = shutil.disk_usage(folder).free
    if free < num_bytes:
        raise InputError(
            f"{folder} has {free // 10**6} MB of free space, and {num_bytes // 10**6} MB may be needed. "
            "Free some space, or choose another folder."
        )


def check_replaceable(path: Path) -> None:
    """Raises InputError if the path is a folder, a pipe or a device."""
    if path.exists() and not path.is_file():
        raise InputError(f"{path} is not a file that can be replaced. Move it, or choose another.")


def check_output(path: Path) -> Path:
    """The path. Raises InputError if no file can be written there. It leaves nothing behind."""
    check_replaceable(path)
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    try:
        with tempfile.TemporaryDirectory(prefix=PREFIX, dir=folder):
            return path
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}. Choose another file.") from None


def move(fresh: Path, path: Path) -> None:
    """Rename onto `path`. An existing folder is filled file by file, since a rename cannot replace it."""
    if not (fresh.is_dir() and path.is_dir()):
        os.replace(fresh, path)
        return
    for part in sorted(fresh.iterdir()):
        move(part, path / part.name)


def sync_all(path: Path) -> None:
    """Wait until a file, or a folder with all its files, is on the disk."""
    for part in [*path.rglob("*"), path]:
        if not part.is_symlink():
            sync(part)


def sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
