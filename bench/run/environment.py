"""What this machine and checkout are: recorded beside every result, never part of a key."""

from __future__ import annotations

import subprocess
import uuid
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version

from bench import CHECKOUT

PACKAGES = (
    "torch",
    "transformers",
    "tokenizers",
    "outlines",
    "outlines_core",
    "numpy",
    "scipy",
    "statsmodels",
    "pytest",
)


def new_run_id() -> str:
    """Names a run in the store and its folder of reports; sorts by time."""
    return f"{datetime.now():%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:6]}"


def package_versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def git_commit() -> str:
    """The checkout's commit, marked where files differ from it; "unknown" for an installed package."""
    if CHECKOUT is None:  # the nearest repository would be somebody else's
        return "unknown"
    git = ["git", "-C", str(CHECKOUT), "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    try:
        return subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
