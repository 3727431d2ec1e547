"""Contents -> a file or folder that is there whole or not at all: written beside its place, then moved."""

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
    """Yields a path to write a file or a folder to; it takes the place of `path` when the block ends well.

    An error, a full disk or a kill leaves what was there. The temporary folder has a random name and is the
    user's own, so nobody can put a link in its place. Files that a new folder lacks stay in an old one.
    follow: a link to a folder stands for that folder. Raises OSError.
    """
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
    """Remove what a kill left in the middle of a write, a day later: until then its writer may be at work."""
    for room in folder.glob(f"{PREFIX}*"):
        if room.lstat().st_mtime < time.time() - DAY:
            shutil.rmtree(room, ignore_errors=True)


def write_text(path: Path, text: str) -> Path:
    """Write a file of UTF-8, its line ends as they are. Raises OSError, and the old file stays."""
    with replacing(path) as fresh:
        fresh.write_text(text, encoding="utf-8", newline="")
    return path


def check_space(folder: Path, num_bytes: int) -> None:
    """Raises InputError where a disk has no room for so much. A quota shows only when it is met."""
    free = shutil.disk_usage(folder).free
    if free < num_bytes:
        raise InputError(
            f"{folder} has {free // 10**6} MB of free space, and {num_bytes // 10**6} MB may be needed. "
            "Free some, or name another folder."
        )


def check_replaceable(path: Path) -> None:
    """Raises InputError where a folder, a pipe or a device stands in the place of a file."""
    if path.exists() and not path.is_file():
        raise InputError(f"{path} is not a file that can be replaced. Move it away, or name another.")


def move(fresh: Path, path: Path) -> None:
    """Rename onto `path`. Into a folder that is there, file by file: no rename replaces a full folder."""
    if not (fresh.is_dir() and path.is_dir()):
        os.replace(fresh, path)
        return
    for part in sorted(fresh.iterdir()):
        move(part, path / part.name)


def sync_all(path: Path) -> None:
    """Wait until a file, or a folder and all that is in it, is on the disk."""
    for part in [*path.rglob("*"), path]:
        if not part.is_symlink():
            sync(part)


def sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
