"""Suite, Plan -> the table of a run: what ran, on what, with what."""

from __future__ import annotations

import platform

from bench import __version__
from bench.models.machine import visible_gpus
from bench.records import Suite
from bench.run.environment import git_commit, package_versions
from bench.run.plans import Plan
from bench.task.examples import digest


def describe_run(suite: Suite, plan: Plan) -> dict[str, object]:
    """A flat table for the report."""
    return {
        "run": plan.run_id,
        "suite": suite.name,
        "protocol": f"{plan.protocol.name} ({plan.protocol.digest[:12]})",
        "data set": f"{plan.dataset} ({digest(plan.examples)[:12]})",
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
