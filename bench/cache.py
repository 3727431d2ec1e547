"""Key -> bytes that take seconds to make. A folder keeps them for all processes of a user.

Each file begins with the digest of its contents, and a damaged file is made again. Several processes may use
the folder at once. It may be deleted.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

from bench import PACKAGE
from bench.outputs import replacing

MAKERS = ("models", "decoding")  # folders whose code makes the cached bytes
MADE_BY = {"figure": ("report",)}  # the same for other kinds


def caches() -> Path:
    """The cache folder: BOXES_CACHE, or a folder in the user's caches."""
    home = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser()
    return Path(os.environ.get("BOXES_CACHE") or home / "entity-tracking-bench")


def kept(kind: str, key: object, make: Callable[[], bytes], days: float | None = None) -> bytes:
    """The bytes of this key from the cache, or made now if the cache lacks them or has them damaged.

    kind: prefix of the file's name. key: JSON values that determine the bytes. The digest of our own code is
    added. If the folder cannot be written, nothing is cached. days: the file is deleted this long after its
    last use; None: never.
    """
    name = hashlib.sha256(
        json.dumps([code_digest(*MADE_BY.get(kind, MAKERS)), key], sort_keys=True).encode()
    ).hexdigest()
    path = caches() / f"{kind}-{name[:32]}"
    with suppress(OSError, ValueError):
        data = read(path)
        if days is not None:
            with suppress(OSError):
                os.utime(path)
        return data
    data = make()
    with suppress(OSError), replacing(path) as fresh:
        fresh.write_bytes(hashlib.sha256(data).digest() + data)
    if days is not None:
        remove_unused(kind, time.time() - 86400 * days)
    return data


def remove_unused(kind: str, since: float) -> None:
    """Remove the files of this kind that were last used before this time."""
    with suppress(OSError):
        for path in caches().glob(f"{kind}-*"):
            if path.stat().st_mtime < since:
                path.unlink()


def read(path: Path) -> bytes:
    """The contents of a cache file. Raises ValueError if it is damaged."""
    data = path.read_bytes()
    size = hashlib.sha256().digest_size
    if hashlib.sha256(data[size:]).digest() != data[:size]:
        raise ValueError(f"{path} is damaged")
    return data[size:]


@cache
def code_digest(*rooms: str) -> str:
    """sha256 over the code of some folders of the package."""
    files = sorted(path for room in rooms for path in (PACKAGE / room).rglob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
