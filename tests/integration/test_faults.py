"""Faults that happen in the night, each made to happen for real, and what the suite promises about them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FILL = """
import resource, sys
from pathlib import Path
from bench.decoding.constraint import Constraint
from bench.records import Completion
from bench.store import Run, Settings, Store

folder, limit = Path(sys.argv[1]), int(sys.argv[2])
run = Run("night", "tiny", Settings({}, Constraint(".*", 100), "reference/1"))
answer = Completion("x" * 1000, "stop", 1)
ballast = folder / "ballast"
ballast.write_bytes(bytes(500_000))
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

kept = []
try:
    with Store(folder / "store.sqlite") as store:
        for number in range(10_000):
            store.add([(str(number), answer)], run)
            kept.append(str(number))
except OSError as error:
    print(error)

ballast.unlink()
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
with Store(folder / "store.sqlite") as store:
    assert store.get(kept) == dict.fromkeys(kept, answer)
    assert not store.notices and not store.problems()
    store.add([("afterwards", answer)], run)
print(len(kept), "kept")
"""


def fill(folder: Path, limit: int, *prefix: str) -> str:
    """Fill a store until nothing more can be written, make room, and look at what is there."""
    command = [*prefix, sys.executable, "-c", FILL, str(folder), str(limit)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_a_full_disk_is_one_line_and_loses_nothing(tmp_path: Path) -> None:
    """A file system of 2 MB, in a mount namespace of its own."""
    mount = ["unshare", "--map-root-user", "--mount"]
    if not shutil.which("unshare") or subprocess.run([*mount, "true"], capture_output=True).returncode:
        pytest.skip("this system lets no user mount a file system")
    small = f'mount -t tmpfs -o size=2m none {tmp_path} && exec "$@"'
    said, kept = fill(tmp_path, 0, *mount, "sh", "-c", small, "sh").splitlines()
    assert "database or disk is full. What was kept before is intact: free some space" in said
    assert int(kept.split()[0]) > 50


def test_a_quota_is_one_line_and_loses_nothing(tmp_path: Path) -> None:
    said, kept = fill(tmp_path, 1_000_000).splitlines()
    assert "What was kept before is intact: free some space" in said
    assert int(kept.split()[0]) > 50
