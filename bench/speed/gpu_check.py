"""python -m bench gpu-check: the table of the checks (gpu.py), with the seconds of each."""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tabulate import tabulate

from bench.inputs import InputError
from bench.outputs import check_output
from bench.speed.shapes import SHAPES


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--device", default="cuda:0", help="(default: %(default)s)")
    parser.add_argument("--shape", choices=SHAPES, default="7b", help="the large model (default: 7b)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the large model's figures to FILE")


def run(args: Namespace) -> int:
    """Make every check and print the table. The exit status is 1 if a check fails."""
    if args.json:
        check_output(args.json)
    import torch

    from bench.speed import gpu

    if args.device != "cpu" and not torch.cuda.is_available():
        raise InputError("no GPU is visible. Run gpu-check on a machine with a GPU, or with --device=cpu.")
    rows = [row_of(name, check, args) for name, check in gpu.CHECKS.items()]
    print(tabulate(rows, ["check", "result", "finding", "s"], tablefmt="github", floatfmt=".0f"))
    return int(any(row[1] == "failed" for row in rows))


def row_of(name: str, check: Callable[[str, Namespace], str], args: Namespace) -> list[Any]:
    from bench.speed.gpu import NotRun

    start = time.perf_counter()
    try:
        result, finding = "ok", check(args.device, args)
    except NotRun as lack:
        result, finding = "not run", str(lack)
    except Exception as error:  # one check must not hide the others
        result, finding = "failed", f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    return [name, result, finding, time.perf_counter() - start]
