"""boxes export-task: the boxes task -> a folder for lm-evaluation-harness or Inspect."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from bench.inputs import SEED
from bench.outputs import write_text
from bench.records import Example
from bench.run.options import Options
from bench.run.plans import plan_of
from bench.scoring.baselines import expected_accuracy
from bench.task.prompts import PROTOCOLS, Protocol, as_text, gold_statement, turns
from bench.text import say

TEMPLATES = Path(__file__).parent / "templates"
HARNESSES = {  # name: module of its task, and the command that runs it
    "lm-eval": (
        "boxes_lm_eval.py",
        "lm_eval --include_path {out} --tasks boxes --model hf --model_args pretrained=MODEL",
    ),
    "inspect": ("boxes_inspect.py", "cd {out} && inspect eval boxes_inspect.py --model MODEL"),
}
PREFILLED = {
    "boxes": "",
    "boxes_prefilled": 'gen_prefix: "\\nStatement:" # the answer is begun for the model\n',
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("harness", choices=HARNESSES)
    add("--out", type=Path, required=True, metavar="DIR", help="the folder to write")
    add("--dataset", default="evaluation", metavar="SET", help="evaluation or full (default: %(default)s)")
    add("--seed", type=SEED, default=0, metavar="N", help="seed of generated data (default: %(default)s)")
    add("--version", default="base", metavar="NAME", help="version of the task (default: %(default)s)")
    add("--protocol", default="paper", choices=PROTOCOLS, help="default: %(default)s")


def run(chosen: argparse.Namespace) -> int:
    """Write the files of the task and its documents, and print the command that runs it."""
    options = Options(**{name: getattr(chosen, name) for name in ("dataset", "seed", "version", "protocol")})
    plan = plan_of(options)
    limit = plan.constraint.max_new_tokens
    docs = [document(example, plan.protocol, limit) for example in plan.examples]
    num_ops = sorted({box["num_ops"] for doc in docs for box in doc["boxes"]})
    module, command = HARNESSES[chosen.harness]
    write_text(chosen.out / module, (TEMPLATES / module).read_text(encoding="utf-8"))
    if chosen.harness == "lm-eval":
        for name in PREFILLED:
            write_text(chosen.out / f"{name}.yaml", yaml_of(name, limit, [*map(str, num_ops), "1plus"]))
    write_text(chosen.out / "boxes.jsonl", "".join(json.dumps(doc) + "\n" for doc in docs))
    say(f"{len(docs)} examples: {command.format(out=chosen.out)}")
    return 0


def document(example: Example, protocol: Protocol, max_new_tokens: int) -> dict[str, Any]:
    """All data of one example for a harness. random: the probability of a right guess, per box."""
    asked = turns(example, protocol)
    return {
        "id": example.id,
        "scenario": example.scenario_id,
        "version": example.version,
        "prompt": as_text(asked),
        "turns": [[turn.role, turn.content] for turn in asked],
        "gold": gold_statement(example),
        "max_new_tokens": max_new_tokens,
        "boxes": [
            {"num_ops": box.num_ops, "target": sorted(box.target), "random": expected_accuracy(box)}
            for box in example.queries
        ],
    }


def yaml_of(name: str, max_new_tokens: int, buckets: list[str]) -> str:
    """A task for lm-evaluation-harness with the protocol's token limit and a metric per bucket."""
    metrics = "\n".join(
        f"  - metric: {name}\n    aggregation: !function boxes_lm_eval.share\n    higher_is_better: true"
        for bucket in buckets
        for name in (f"accuracy_{bucket}", f"random_{bucket}")
    )
    filled = {
        "NAME": name,
        "PREFILLED": PREFILLED[name],
        "METRICS": metrics,
        "max_gen_toks: 100": f"max_gen_toks: {max_new_tokens}",
    }
    text = (TEMPLATES / "boxes.yaml").read_text(encoding="utf-8")
    for blank, words in filled.items():
        text = text.replace(blank, words)
    return text
