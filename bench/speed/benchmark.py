"""python -m bench benchmark: the speed of the engines side by side, or the time before the first answer."""

from __future__ import annotations

import copy
import json
import os
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from tabulate import tabulate

from bench.inputs import COUNT, number, whole
from bench.models import load_tokenizer
from bench.records import ModelEntry
from bench.task.prompts import PROTOCOLS, Constraint, constraint

SHAPES = {  # of Llama models with random weights: hidden size, feed-forward size, layers, heads
    "tiny": (128, 384, 5, 2),
    "110m": (768, 2048, 12, 12),
    "7b": (4096, 11008, 32, 32),
}
LAYERS, HIDDEN = 2, 32  # of the model whose start is measured

DTYPES = ("float32", "bfloat16", "float16")
COUNTED = ("forward_passes", "model_tokens", "drafted_tokens", "accepted_tokens")


def add_arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("--shape", choices=SHAPES, default="tiny", help="a Llama with random weights (default: tiny)")
    add("--model", type=Path, metavar="FOLDER", help="a checkpoint instead, such as fixtures/tiny/tiny-base")
    add(
        "--err",
        type=number(0, 1),
        metavar="P",
        help="script the answers; a changed box is wrong with probability P",
    )
    add("--scenarios", type=COUNT, default=2, metavar="N", help="scenarios of 12 states (default: 2)")
    add("--evaluation-set", action="store_true", help="the 716 examples instead of whole scenarios")
    add("--reference-prompts", type=COUNT, metavar="N", help="prompts for the slower engines (default: all)")
    add("--protocol", choices=PROTOCOLS, default="strict", help="(default: %(default)s)")
    add("--pack-tokens", type=COUNT, metavar="N", help="tokens per pack, speculative engine")
    add("--repeats", type=COUNT, default=3, metavar="N", help="measure N times and take medians (default: 3)")
    add("--threads", type=whole(1, 1024), default=1, metavar="N", help="threads of torch (default: 1)")
    add("--device", default="cpu", help="(default: %(default)s)")
    add("--dtype", choices=DTYPES, default="float32", help="(default: %(default)s)")
    add("--startup", type=Path, metavar="TOKENIZER", help="only measure the time before the first answer")
    add("--json", action="store_true", help="print one JSON object")


def run(args: Namespace) -> int:
    """Measure, and print a table or JSON."""
    if args.startup:
        result = startup(args.startup, constraint(PROTOCOLS[args.protocol]))
    else:
        from bench.speed.side_by_side import measured

        result = measured(args)
    table = startup_table if args.startup else as_table
    print(json.dumps(result, indent=1) if args.json else table(result))
    return 0


def as_table(result: Mapping[str, Any]) -> str:
    """A table of engines with their cost, then ratios."""
    rows = [
        [side, result["prompts"][side], 1000 * seconds, *(result["counters"][side][name] for name in COUNTED)]
        for side, seconds in result["seconds_per_prompt"].items()
    ]
    headers = ["side", "prompts", "ms a prompt", *(name.replace("_", " ") for name in COUNTED)]
    return "\n\n".join(
        [
            tabulate(rows, headers, tablefmt="github", floatfmt=".1f"),
            tabulate(result["ratios"].items(), ["ratio", "median"], tablefmt="github", floatfmt=".2f"),
            f"{result['identical']} of {result['compared']} answers identical, token for token.",
        ]
    )


def startup(path: Path, asked: Constraint) -> dict[str, Any]:
    """Processor and clock seconds of each part before the first answer, for JSON, on one thread.

    path: a folder with a tokenizer, or a GGUF file. The model is an untrained Llama with two layers, so the
    vocabulary determines the time.
    """
    import torch

    torch.set_num_threads(1)
    tokenizer, loading = timed(lambda: load_tokenizer(ModelEntry("startup", str(path))))
    model = untrained(tokenizer)
    with TemporaryDirectory() as empty, patch.dict(os.environ, BOXES_CACHE=empty):
        cold, warm = (parts(model, tokenizer, asked) for _ in range(2))
    return {
        "tokenizer": str(path),
        "vocabulary": len(tokenizer),
        "loading the tokenizer": loading,
        "cold": cold,
        "warm": warm,
    }


def parts(model: Any, tokenizer: Any, asked: Constraint) -> dict[str, tuple[float, float]]:
    from bench.decoding.automaton import spell
    from bench.decoding.select import SpeculativeEngine, check_once

    tokenizer = copy.copy(tokenizer)  # for which nothing is known yet in this process
    seconds: dict[str, tuple[float, float]] = {}
    _, seconds["spelling"] = timed(lambda: spell(tokenizer))
    engine, seconds["automaton"] = timed(lambda: SpeculativeEngine(model, tokenizer, asked))
    _, seconds["probe"] = timed(lambda: check_once(engine, identity="startup"))
    totals = [sum(column) for column in zip(*seconds.values(), strict=True)]
    return seconds | {"before the first answer": (totals[0], totals[1])}


def timed(step: Callable[[], Any]) -> tuple[Any, tuple[float, float]]:
    """The result of a step, and its processor and clock seconds."""
    start = time.process_time(), time.perf_counter()
    found = step()
    return found, (time.process_time() - start[0], time.perf_counter() - start[1])


def untrained(tokenizer: Any) -> Any:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=1 + max(tokenizer.get_vocab().values()), hidden_size=HIDDEN, intermediate_size=2 * HIDDEN,
        num_hidden_layers=LAYERS, num_attention_heads=4, max_position_embeddings=4096, initializer_range=0.3,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    torch.manual_seed(0)
    return LlamaForCausalLM(config).eval()


def startup_table(found: Mapping[str, Any]) -> str:
    rows = [[part, *found["cold"][part], *found["warm"][part]] for part in found["cold"]]
    headers = ["part", "cold, processor s", "clock s", "warm, processor s", "clock s"]
    processor, clock = found["loading the tokenizer"]
    return (
        f"{found['tokenizer']}: {found['vocabulary']} tokens, loaded in {processor:.1f} s ({clock:.1f} s)\n\n"
        + tabulate(rows, headers, tablefmt="github", floatfmt=".2f")
    )
