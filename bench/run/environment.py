"""What this machine and checkout are: recorded beside every result, never part of a key."""

from __future__ import annotations

import subprocess
from importlib.metadata import PackageNotFoundError, version

from bench import ROOT

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


def package_versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def git_commit() -> str:
    """The checkout's commit, marked where files differ from it; "unknown" outside of a checkout."""
    git = ["git", "-C", str(ROOT), "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    try:
        return subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
