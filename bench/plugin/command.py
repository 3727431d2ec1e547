"""boxes run: a pair or a suite -> the cases, run by pytest. Output and exit status come from pytest."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import tomlkit

from bench import CASES, CHECKOUT, ROOT
from bench.inputs import InputError
from bench.models.suites import entry_of, name_of
from bench.outputs import write_text
from bench.run import options

INSTALLED = (  # the settings of pytest.ini in a checkout
    f"--config-file={os.devnull}", "--rootdir=.", "--import-mode=importlib", "--strict-markers",
    "--dist=worksteal", "--disable-warnings",
)  # fmt: skip
DIFFERING = ("name", "chat", "dtype")  # keys of an entry in the pair's suite file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    model = "downloaded hub id, folder, GGUF file or embedded model"
    add("--base", metavar="MODEL", help=model)
    add("--variant", metavar="MODEL", help="the model that was trained further from the base")
    add("--hypothesis", metavar="NAME", help="hypothesis of the pair (default: code)")
    add("--chat-base", action="store_true", help="use the chat template of the base")
    add("--chat-variant", action="store_true", help="use the chat template of the variant")
    parser.epilog = (
        "Every --boxes-NAME option of pytest may be written --NAME: --suite, --limit, --protocol. "
        "All other arguments go to pytest: -m, -k, -n, -q. See pytest --help."
    )


def run(chosen: argparse.Namespace) -> int:
    """Run the cases. Raises InputError if only a part of a pair is given, or a model is unknown."""
    given = [long_option(argument) for argument in chosen.rest]
    names = (chosen.base, chosen.variant, chosen.hypothesis)
    if any(name is not None for name in names) or chosen.chat_base or chosen.chat_variant:
        given.append(f"--boxes-suite={write_pair(chosen)}")
    return run_pytest([str(CASES), *(() if CHECKOUT else INSTALLED), *given])


def run_pytest(arguments: Sequence[str]) -> int:
    """Run pytest in its own process, with this code, whatever is in the current folder."""
    environ = dict(os.environ)
    if CHECKOUT:  # it may not be installed
        environ["PYTHONPATH"] = os.pathsep.join([str(CHECKOUT), *filter(None, [environ.get("PYTHONPATH")])])
    process = subprocess.Popen([sys.executable, "-P", "-m", "pytest", *arguments], env=environ)
    while True:
        with suppress(KeyboardInterrupt):  # pytest gets it too, and ends by itself
            return process.wait()


def long_option(argument: str) -> str:
    """--limit=20 -> --boxes-limit=20, if it is one of our options."""
    flags: list[str] = []
    options.add_options(lambda flag, **settings: flags.append(flag))
    flag, equals, value = argument.partition("=")
    long = flag.replace("--", "--boxes-", 1)
    return f"{long}{equals}{value}" if long in flags else argument


def write_pair(chosen: argparse.Namespace) -> Path:
    """Write a suite file for the pair. It is kept beside the store, so that reports can be made again."""
    if not (chosen.base and chosen.variant):
        raise InputError("a pair needs two models. Give --base and --variant, or --suite.")
    asked = ((chosen.base, chosen.chat_base), (chosen.variant, chosen.chat_variant))
    entries = [entry_of(text, chat=chat) for text, chat in asked]
    if entries[0] == entries[1]:
        raise InputError(f"base and variant are both {chosen.base}. Name two models.")
    if entries[0].name == entries[1].name:
        names = [name_of("-".join(Path(text).resolve().parts[-2:])) for text, _ in asked]
        entries = [
            entry_of(text, chat=chat, name=name) for (text, chat), name in zip(asked, names, strict=True)
        ]
    base, variant = (entry.name for entry in entries)
    hypothesis = "code" if chosen.hypothesis is None else chosen.hypothesis
    suite = {
        "name": base,
        "models": [
            {"hub" if entry.source == "hub" else "path": entry.path}
            | {key: getattr(entry, key) for key in DIFFERING}
            for entry in entries
        ],
        "pairs": [{"hypothesis": hypothesis, "base": base, "variant": variant}],
    }
    text = f"# boxes run --base ... --variant ...\n{tomlkit.dumps(suite)}"
    return write_text(ROOT / ".boxes" / "pairs" / f"{base}..{variant}.toml", text)
