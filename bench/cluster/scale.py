"""Suite, measured counts -> the tables of docs/scale.md: what each model needs, what the pairs may cost."""

from __future__ import annotations

import argparse
import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from tabulate import tabulate

from bench import ROOT
from bench.models.suites import load_suite
from bench.records import ModelEntry, Suite
from bench.task.examples import NUM_EXAMPLES

HYPOTHESES = ("code", "math", "alignment")
CARD_GB = 80
ROOMY = 0.85  # of a card: above that, long prompts of a large model leave little room for a batch
SERVED = 0.9  # of a card that vLLM takes for itself, 10% of the weights' size added for what is beside them
COUNTS = ROOT / "reports" / "benchmarks"

# The card of the cost model (H100 SXM: bytes and bfloat16 operations a second) and what is assumed of it.
BANDWIDTH, PEAK = 3.35e12, 989e12
OF_BANDWIDTH, OF_PEAK = 0.6, 0.4
PASS_SECONDS = 0.04  # of a pass of transformers at the least: its layers are launched one by one
SLOWER_IN_8BIT = 2.5
LOADED = 2e9  # bytes a second, from disk


@dataclass(frozen=True, slots=True)
class Engine:
    """What one prompt costs: passes and tokens through the model. served: in bfloat16, by a server."""

    name: str
    passes: float
    tokens: float
    served: bool = False


def engines() -> list[Engine]:
    """From the counts measured on the evaluation set, with one changed box in ten wrong, or seven."""
    few, many = (json.loads((COUNTS / f"evaluation-err{err}.json").read_text()) for err in (0.1, 0.7))

    def counted(result: dict, side: str) -> tuple[float, float]:
        counters, prompts = result["counters"][side], result["prompts"][side]
        return counters["forward_passes"] / prompts, counters["model_tokens"] / prompts

    alone, _ = single = counted(few, "reference_batch1")
    together, padded = counted(few, "reference_batch16")
    _, unshared = counted(few, "teacher_forced_unshared")  # behind the beginning that all prompts share
    return [
        Engine("reference, 1 at once", *single),
        Engine("reference, 64 at once", together * 16 / 64, padded),
        Engine("speculative, err 0.7", *counted(many, "speculative")),
        Engine("speculative, err 0.1", *counted(few, "speculative")),
        Engine("server, 16 in flight", alone / 16, unshared, served=True),
    ]


def gpu_seconds(entry: ModelEntry, engine: Engine) -> float:
    """One model on the evaluation set: reading its weights, passes, operations."""
    assert entry.parameters is not None, "every model of the paper has a size"
    weights = 1e9 * entry.parameters
    in_8bit = entry.quantization == "8bit" and not engine.served
    reading = weights * (1 if in_8bit else 2) / (OF_BANDWIDTH * BANDWIDTH)
    a_pass = reading if engine.served else max(reading, PASS_SECONDS)
    computing = 2 * weights * engine.tokens / (OF_PEAK * PEAK)
    prompt = (engine.passes * a_pass + computing) * (SLOWER_IN_8BIT if in_8bit else 1)
    return NUM_EXAMPLES * prompt + 2 * weights / LOADED


def cost_table(suite: Suite) -> str:
    """GPU hours by engine, for the models of each hypothesis, and for those of all pairs, each once."""
    columns = engines()
    named = {hypothesis: models_of(suite, {hypothesis}) for hypothesis in HYPOTHESES}
    named[f"all {len(suite.pairs)} pairs"] = models_of(suite, HYPOTHESES)
    rows = [
        [what, len(entries), *(sum(gpu_seconds(e, engine) for e in entries) / 3600 for engine in columns)]
        for what, entries in named.items()
    ]
    counts = [
        ["passes a prompt", "", *(engine.passes for engine in columns)],
        ["tokens a prompt", "", *(engine.tokens for engine in columns)],
    ]
    headers = ["GPU hours", "models", *(engine.name for engine in columns)]
    shown = [[*row[:2], *(f"{value:.2f}" for value in row[2:])] for row in counts + rows]
    return tabulate(shown, headers, tablefmt="github", disable_numparse=True)


def models_of(suite: Suite, hypotheses: Collection[str]) -> list[ModelEntry]:
    pairs = [pair for pair in suite.pairs if pair.hypothesis in hypotheses]
    return [suite.models[name] for name in dict.fromkeys(n for p in pairs for n in (p.base, p.variant))]


def needs_table(suite: Suite) -> str:
    """For each model its memory, and the command that runs it on one card, on eight, and on a server."""
    rows = [
        [
            entry.name,
            f"{entry.memory_gb:.0f}",
            "8 bits" if entry.quantization else "bfloat16",
            f"`{command(entry, 1)}`",
            f"`{command(entry, cards(entry))} --ray local`",
            f"`{serve(entry)}`",
        ]
        for entry in suite.models.values()
    ]
    headers = ["model", "GB", "as", "1 x 80 GB", "8 x 80 GB", "server"]
    return tabulate(rows, headers, tablefmt="github")


def command(entry: ModelEntry, gpus: int) -> str:
    spread = f" --gpus-per-model {gpus}" if gpus > 1 else ""
    return f"python -m bench score --suite paper --models {entry.name}{spread}"


def serve(entry: ModelEntry) -> str:
    spread = f" --tensor-parallel-size {served_cards(entry)}" if served_cards(entry) > 1 else ""
    return f"vllm serve {entry.path} --dtype bfloat16{spread}"


def cards(entry: ModelEntry) -> int:
    """How many of several cards hold the model with room to spare."""
    assert entry.memory_gb is not None, "every model of the paper has its memory"
    return next(number for number in range(1, 9) if entry.memory_gb <= ROOMY * CARD_GB * number)


def served_cards(entry: ModelEntry) -> int:
    """The cards that hold the model in bfloat16: a power of two, so that they can share its heads."""
    assert entry.parameters is not None, "every model of the paper has a size"
    return next(number for number in (1, 2, 4, 8) if 2 * entry.parameters * 1.1 <= SERVED * CARD_GB * number)


TABLES = {"needs": needs_table, "cost": cost_table}


def updated(page: str) -> str:
    """The page with each table between its two marks made anew. Raises ValueError if a mark is missing."""
    suite = load_suite("paper")
    for name, make in TABLES.items():
        opening, closing = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        before, _, rest = page.partition(opening)
        _, found, after = rest.partition(closing)
        if not found:
            raise ValueError(f"no {opening.strip()} and {closing} in the page. Put them back.")
        page = f"{before}{opening}\n{make(suite)}\n\n{closing}{after}"
    return page


def add_arguments(parser: argparse.ArgumentParser) -> None:
    page = ROOT / "docs" / "scale.md"
    parser.add_argument("--page", type=Path, default=page, metavar="FILE", help="default: docs/scale.md")


def run(arguments: argparse.Namespace) -> int:
    """Make the page's tables anew."""
    page = arguments.page
    page.write_text(updated(page.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"the tables of {page} are those of the paper's suite and the measured counts")
    return 0
