"""The name of a data set, as in --boxes-dataset -> its examples."""

from __future__ import annotations

import os

from bench.inputs import InputError
from bench.records import Example
from bench.task.examples import DEFAULT_SEED, evaluation_set, full_split
from bench.task.wording import WORDINGS
from bench.task.world import SIZES

PASSWORD_VARIABLE = "BOXES_DATASET_PASSWORD"


def load(
    name: str, seed: int = DEFAULT_SEED, version: str = "base", password: str | None = None
) -> list[Example]:
    """Load evaluation, full, release:PATH.zip or release:PATH.zip/MEMBER.

    Raises ValueError for an unknown name or version, and for a ZIP that differs from the release.
    """
    if version not in WORDINGS:
        raise InputError(f"unknown version of the task {version!r}. Choose from {', '.join(WORDINGS)}.")
    if name in ("evaluation", "full") and version not in SIZES:
        from bench.task.probes import NUM_PAIRS, probe_set

        return probe_set(version, seed, NUM_PAIRS[name])
    if name == "evaluation":
        return evaluation_set(seed, version=version)
    if name == "full":
        return full_split(seed, version=version)
    if name.startswith("release:"):
        from bench.task.release import read_release

        password = password or os.environ.get(PASSWORD_VARIABLE)
        return read_release(name.removeprefix("release:"), password, version=version)
    raise InputError(f"unknown data set {name!r}. Choose from evaluation, full, release:PATH.zip.")
