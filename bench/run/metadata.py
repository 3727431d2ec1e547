"""Suite, Plan -> the table of a run's settings, machine and versions. It is not part of a key."""

from __future__ import annotations

import platform
import subprocess
import uuid
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from bench import CHECKOUT, __version__
from bench.models.machine import visible_gpus
from bench.records import Suite
from bench.task.examples import digest_of_examples

if TYPE_CHECKING:
    from bench.run.plans import Plan

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


def metadata_of(suite: Suite, plan: Plan) -> dict[str, object]:
    """The metadata as a flat table for the report."""
    return {
        "run": plan.run_id,
        "suite": suite.name,
        "protocol": f"{plan.protocol.name} ({plan.protocol.digest[:12]})",
        "data set": f"{plan.dataset} ({digest_of_examples(plan.examples)[:12]})",
        "version of the task": plan.version,
        "seed": plan.seed,
        "examples": len(plan.examples),
        "queries": sum(len(example.queries) for example in plan.examples),
        "scenarios": len({example.scenario_id for example in plan.examples}),
        "metric": plan.metric,
        **({"tokens of thinking at most": plan.think_tokens} if plan.thinks else {}),
        "engine asked for": plan.engine,
        "device": device_of(plan),
        "git commit": git_commit(),
        "entity-tracking-bench": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        **package_versions(),
    }


def device_of(plan: Plan) -> str:
    if plan.engine == "server":
        return ", ".join(plan.servers) or "the store alone"
    return f"{len(visible_gpus())} GPUs" if visible_gpus() else "CPU"


def new_run_id() -> str:
    """The name of a run in the store and of its report folder. Names sort by time."""
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
    """The checkout's commit, marked if files differ from it; "unknown" for an installed package."""
    if CHECKOUT is None:  # the nearest repository would belong to another project
        return "unknown"
    git = ["git", "-C", str(CHECKOUT), "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    try:
        return subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
