"""boxes COMMAND, or python -m bench COMMAND: the table of commands and their modules."""

from __future__ import annotations

import argparse
import os
import re
import sys
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from bench import check_checkout
from bench.inputs import MISTAKE, explain, place
from bench.text import printable

COMMANDS = {  # command: (module with add_arguments and run, help)
    "run": ("bench.plugin.command", "test a pair, or the pairs of a suite; other arguments are pytest's"),
    "view": ("bench.report.view", "open the page of a run"),
    "train-tiny": ("bench.training.command", "train a model of the embedded family from its seed"),
    "generate": ("bench.task.write", "write data sets in the released row format"),
    "score": (
        "bench.cluster.command",
        "store the answers of a suite's models, here, by Ray or by SLURM; or score one model",
    ),
    "score-predictions": ("bench.scoring.predictions", "score answers made elsewhere"),
    "probes": ("bench.run.probes", "measure the effect of one critical sentence, on minimal pairs"),
    "pin": ("bench.models.suites", "write the commits of downloaded hub models into a suite file"),
    "baseline": ("bench.scoring.baselines", "show the expected accuracy of random guessing"),
    "store": ("bench.store.command", "list, verify, export, merge or prune stored completions"),
    "power": ("bench.simulation.power", "compute the smallest gain that a run can detect"),
    "simulate": ("bench.simulation.simulate", "measure how often findings are wrong and intervals right"),
    "benchmark": ("bench.speed.benchmark", "compare the speed of the engines"),
    "gpu-check": ("bench.speed.gpu_check", "run all checks that need a GPU, in under five minutes"),
    "published": ("bench.report.published", "make reports/published/ from the published figures"),
    "scale": ("bench.cluster.scale", "make the table of docs/scale.md: the memory of each model"),
    "report": ("bench.report.command", "make every format of a report again, from a store or a run's folder"),
    "export": ("bench.exports.answers", "write every answer of a run: JSON lines, Parquet or an Inspect log"),
    "export-task": ("bench.exports.tasks", "write the task for lm-evaluation-harness or Inspect"),
    "baseline-update": ("bench.nights.files", "make a saved run the baseline of later comparisons"),
}


def main(arguments: list[str] | None = None, prog: str = "python -m bench") -> int:
    """Run one command. An exception becomes one line and the exit status of pytest."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = Parser(prog=prog, description="Entity tracking with the boxes task.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (module, text) in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        if name in arguments[:1]:  # so that only one command's module is imported
            import_module(module).add_arguments(command)
            if name != "run":  # pytest has it itself
                command.add_argument("--boxes-debug", action="store_true", help="show an error's traceback")
    chosen, rest = parser.parse_known_args(arguments)
    if rest and chosen.command != "run":
        commands.choices[chosen.command].error(f"unrecognized arguments: {' '.join(rest)}")
    chosen.rest = rest
    try:
        check_checkout(Path.cwd())
        paths = {name: place(value) for name, value in vars(chosen).items() if isinstance(value, Path)}
        vars(chosen).update(paths)
        return import_module(COMMANDS[chosen.command][0]).run(chosen)
    except Exception as error:
        if getattr(chosen, "boxes_debug", False):
            raise
        line, status = explain(error)
        print(f"{parser.prog} {chosen.command}: {line}", file=sys.stderr)
        return status


def nonempty(text: str) -> Path:
    """A path. pathlib takes an empty one for the current folder."""
    if not text:
        raise argparse.ArgumentTypeError("an empty path. Write the name of a file or folder.")
    return Path(text)


class Parser(argparse.ArgumentParser):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.register("type", Path, nonempty)

    def parse_known_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def]
        """Refuse a value "--", which argparse replaces by an empty list, and text that is not in UTF-8."""
        for argument in args or ():
            try:
                os.fsencode(argument)
            except UnicodeEncodeError:
                self.error(f"{argument} is not text. Write it again.")
            if re.fullmatch("--[^=]+=--", argument):
                self.error(f"{argument} has no value. Write another after the equals sign.")
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """End with the exit status of a mistake."""
        self.print_usage(sys.stderr)
        self.exit(MISTAKE, printable(f"{self.prog}: {message}") + "\n")


boxes = partial(main, prog="boxes")  # the console command
