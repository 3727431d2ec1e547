"""python -m bench benchmark: the speed of the engines side by side, or the time before the first answer."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tabulate import tabulate

from bench.arguments import COUNT, number, whole
from bench.speed.shapes import SHAPES
from bench.task.prompts import PROTOCOLS

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
    from bench.decoding.constraint import constraint
    from bench.speed import side_by_side, startup

    if args.startup:
        result = startup.startup(args.startup, constraint(PROTOCOLS[args.protocol]))
        table = startup.as_table(result)
    else:
        result = side_by_side.measured(args)
        table = as_table(result)
    print(json.dumps(result, indent=1) if args.json else table)
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
