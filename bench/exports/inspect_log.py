"""Evaluation, Plan -> an Inspect log: one sample per example, with the seven boxes in its score.

Source of the format: inspect_ai.log.EvalLog, version 2.
"""

from __future__ import annotations

import json
from itertools import groupby
from typing import Any

from bench import __version__
from bench.records import Evaluation
from bench.report.examples import rows
from bench.run.plans import Plan
from bench.run.session import accuracies

BY_BOX = ("box", "num_ops", "gold", "answer", "correct", "error")


def log_of(evaluation: Evaluation, plan: Plan, released: bool) -> str:
    """The log as JSON. Its one scorer has accuracy by number of operations and random guessing as metrics."""
    started = str(evaluation.run.get("started") or "1970-01-01T00:00:00+00:00")
    by_example = groupby(rows(evaluation, plan, released=released), key=lambda row: row["example"])
    samples = [sample(evaluation, [*of_example]) for _, of_example in by_example]
    config = {"max_tokens": plan.constraint.max_new_tokens, "temperature": 0.0}
    spec = {
        "run_id": plan.run_id,
        "created": started,
        "task": "boxes",
        "task_id": f"boxes-{plan.protocol.name}",
        "dataset": {"name": plan.dataset, "samples": len(samples)},
        "model": evaluation.model,
        "config": {},
        "packages": {"entity-tracking-bench": __version__},
        "metadata": {"engine": evaluation.engine, "protocol": plan.protocol.name, "metric": plan.metric},
    }
    scored = {"name": "boxes", "scorer": "boxes", "params": {}, "metrics": metrics(evaluation, plan)}
    return json.dumps(
        {
            "version": 2,
            "status": "success",
            "eval": spec,
            "plan": {"name": "plan", "steps": [{"solver": "generate", "params": {}}], "config": config},
            "results": {"total_samples": len(samples), "completed_samples": len(samples), "scores": [scored]},
            "stats": {"started_at": started, "completed_at": started, "model_usage": {}},
            "samples": samples,
        }
    )


def sample(evaluation: Evaluation, found: list[dict[str, Any]]) -> dict[str, Any]:
    """found: the rows of one example."""
    first = found[0]
    completion = evaluation.completions[first["example"]]
    prompt = first["prompt"] or "(released data, prompt not included)"
    said = {"role": "assistant", "content": completion.text, "source": "generate"}
    stop = "stop" if completion.finish_reason == "stop" else "max_tokens"
    wrong = [f"box {row['box']}: {row['answer']} ({row['error']})" for row in found if not row["correct"]]
    return {
        "id": first["example"],
        "epoch": 1,
        "input": prompt,
        "target": [row["gold"] for row in found],
        "messages": [{"role": "user", "content": prompt, "source": "input"}, said],
        "output": {"model": evaluation.model, "choices": [{"message": said, "stop_reason": stop}]},
        "scores": {
            "boxes": {
                "value": sum(row["correct"] for row in found) / len(found),
                "answer": "; ".join(str(row["answer"]) for row in found),
                "explanation": "\n".join(wrong) or "all boxes are right",
                "metadata": {"boxes": [{key: row[key] for key in BY_BOX} for row in found]},
            }
        },
        "metadata": {"scenario": first["scenario"]},
        "store": {},
        "events": [],
        "model_usage": {},
    }


def metrics(evaluation: Evaluation, plan: Plan) -> dict[str, Any]:
    """accuracy_BUCKET and random_BUCKET for each bucket, in Inspect's form of metrics."""
    shares = {f"accuracy_{bucket}": found.value for bucket, found in accuracies(evaluation).items()}
    shares |= {f"random_{bucket}": value for bucket, value in plan.baseline.items()}
    return {name: {"name": name, "value": value, "params": {}} for name, value in shares.items()}
