"""Every option of every command and of pytest, with values that it cannot have: one line, exit status 4, and
a prompt end. Nightly.

Each command line is right, except for one value. A new option must be put into a kind.
"""

from __future__ import annotations

import argparse
import os
import shutil
import stat
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from bench import ROOT
from bench.commands import COMMANDS, main
from bench.inputs import MISTAKE
from bench.plugin import command as boxes_run
from bench.run.options import add_options
from bench.store import Store

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(60)]
pytest_plugins = ["pytester"]

LONG = "x" * 300
UNTYPED = ("a\nb", "\x1b[31m", "\udcff")  # a line break, a control character, a byte outside UTF-8
NO_PATH = ("loop", LONG, "text/below", "~nosuchuser/x", "a\0b", "/proc/none", "--", *UNTYPED[:2])
NO_FILE = ("folder", "pipe", "device")
NO_NUMBER = ("", "x", "-1", "nan", "1e999", "9" * 5000, "0x10", "1.5", " ", "--")
SPOILT = ("absent", "empty", "binary", "deep.json", "/proc/self/mem", "日本", "\udcff", "")
KEPT = ("one", "two", "folder", "reports", "loop", "empty", "text", "binary", "suite.toml", "store.sqlite")
# kind of value -> values that it is not
KINDS: dict[str, tuple[str, ...]] = {
    "seed": NO_NUMBER,
    "count": (*NO_NUMBER, "0"),
    "count or none": NO_NUMBER,
    "auto": (*NO_NUMBER, "0"),
    "number": ("", "x", "-1", "nan", " ", "--"),
    "finite": ("", "x", "-1", "nan", "inf", "1e999", " ", "--"),
    "date": ("", "x", "0", "2026-13-01", "日本", "--"),
    "word": ("", "x", LONG, "日本", "--", *UNTYPED),
    "tracker": ("x", LONG, "日本", "--", *UNTYPED),
    "words": (",x", "x", LONG, "日本", "--", *UNTYPED),
    "url": ("x", "http://", "http://[", "http://a:99999", "ftp://a", "http://u:p@a", "--"),
    "input": (*NO_PATH, *NO_FILE, *SPOILT),
    "store": (*NO_PATH, *NO_FILE, "absent", "binary", "deep.json", "日本", ""),
    "new store": (*NO_PATH, *NO_FILE, "binary", "deep.json"),
    "model": (*NO_PATH, "pipe", "device", "absent", "empty", "binary", "folder", ""),
    "hub id or model": (*(text for text in NO_PATH if text != "text/below"), ""),
    "run": (*NO_PATH, *NO_FILE, *SPOILT),
    "output": (*NO_PATH, *NO_FILE),
    "folder": (*NO_PATH, "pipe", "device", "text", "/proc/self/mem"),
    "name": (LONG, "../x", "日本", "a b", *UNTYPED),
    "text": ("--", "\ud800"),
}
# kind -> options and arguments, "command option" where another command has another kind
OPTIONS = {
    "seed": "--seed --boxes-seed",
    "count or none": "generate/--operations",
    "count": "--tokens --scenarios --boxes --limit --think-tokens --server-concurrency --gpus-per-model "
    "--gpus-per-worker --pairs --operations --repetitions --reference-prompts --repeats --threads",
    "auto": "--batch-size --pack-tokens",
    "number": "--wait",
    "finite": "--err --differing --design-effect",
    "date": "--before",
    "word": "--arm --device --version --protocol --metric --engine --format --reading --shape --dtype --size "
    "harness",
    "tracker": "--track",
    "words": "--models --model-args --probes --measures --buckets",
    "url": "--server",
    "input": "--suite suite --gold --predictions --dataset --page --compare night",
    "store": "--store others",
    "new store": "probes/--store score/--store merge/--store pytest/--store",
    "hub id or model": "run/--base run/--variant",
    "model": "--base --variant model --model --startup",
    "run": "run source",
    "output": "--output --to --slurm simulate/--out gpu-check/--json",
    "folder": "--out --report-dir",
    "name": "--save",
    "text": "--password --dataset-password prune/--model why-miss/--model --ray --hypothesis",
}
# a right command line of each command
RIGHT = {
    "run": "--base=one --variant=two --hypothesis=code",
    "view": "latest --report-dir=reports",
    "train-tiny": "--arm=code --base=one --tokens=1 --out=out --device=cpu",
    "generate": "--out=out --scenarios=3",
    "score": "--limit=1 --suite=suite.toml --store=new.sqlite --slurm=job.sh",
    "score-predictions": "--gold=gold.jsonl --predictions=gold.jsonl",
    "probes": "--pairs=1 --suite=suite.toml",
    "pin": "suite.toml",
    "baseline": "",
    "store ls": "--store=store.sqlite",
    "store verify": "--store=store.sqlite",
    "store export": "--store=store.sqlite --output=rows.jsonl",
    "store merge": "--store=store.sqlite store.sqlite",
    "store prune": "--store=store.sqlite --problems",
    "store why-miss": "--store=store.sqlite",
    "power": "--limit=1 --pairs=1",
    "simulate": "--repetitions=1 --measures=guessers",
    "benchmark": "--scenarios=1 --repeats=1 --reference-prompts=1 --err=0.1",
    "gpu-check": "--device=cpu",
    "published": "",
    "scale": "--page=page.md",
    "report": "store.sqlite --report-dir=reports",
    "export": "latest --report-dir=reports --store=store.sqlite",
    "export-task": "lm-eval --out=out",
    "baseline-update": "night.json --to=new.json",
}


def arguments_of(parser: argparse.ArgumentParser, command: str) -> Iterator[tuple[str, str]]:
    """Every option and argument with a value, with its command."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                yield from arguments_of(inner, f"{command} {name}")
        elif action.nargs != 0:
            yield command, next(iter(action.option_strings), action.dest)


def all_arguments() -> Iterator[tuple[str, str]]:
    for command, (module, _) in COMMANDS.items():
        parser = argparse.ArgumentParser(add_help=False)
        import_module(module).add_arguments(parser)
        yield from arguments_of(parser, command)


def options_of_pytest() -> list[str]:
    found: list[str] = []
    add_options(lambda flag, **more: found.append(flag) if more.get("action") != "store_true" else None)
    return found


def kind_of(command: str, argument: str) -> str:
    argument = argument.replace("--boxes-", "--")
    own = f"{command.rpartition(' ')[2]}/{argument}"
    kinds = {name: kind for kind, names in OPTIONS.items() for name in names.split()}
    return kinds[own] if own in kinds else kinds[argument]


LINES = [
    (command, argument, value)
    for command, argument in all_arguments()
    for value in KINDS[kind_of(command, argument)]
    if argument.startswith("--") or value != "--"
]
OF_PYTEST = [
    (option, value)
    for option in options_of_pytest()
    for value in KINDS[kind_of("pytest", option)]
    if value != "\ud800"
]


@pytest.fixture(scope="module")
def prepared(random_checkpoints: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    here = tmp_path_factory.mktemp("lines")
    for name in ("one", "two"):
        shutil.copytree(random_checkpoints / name, here / name)
    for name in ("folder", "reports"):
        (here / name).mkdir()
    os.mkfifo(here / "pipe")
    (here / "loop").symlink_to("loop")
    (here / "empty").touch()
    (here / "text").write_text("words\n" * 9)
    (here / "binary").write_bytes(bytes(range(256)) * 8)
    (here / "deep.json").write_text("[" * 3000)
    models = "".join(f'[[models]]\nname = "{name}"\npath = "{name}"\n' for name in ("one", "two"))
    pair = '[[pairs]]\nhypothesis = "code"\nbase = "one"\nvariant = "two"\n'
    (here / "suite.toml").write_text(f'name = "random"\n{models}{pair}')
    Store(here / "store.sqlite").close()
    return here


@pytest.fixture
def here(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder. Afterwards it is as it was."""
    if not (prepared / "device").exists():
        try:
            os.mknod(prepared / "device", stat.S_IFCHR | 0o666, os.makedev(1, 5))  # like /dev/zero
        except PermissionError:
            (prepared / "device").symlink_to("/dev/zero")
    monkeypatch.chdir(prepared)
    monkeypatch.setattr(boxes_run, "ROOT", prepared)
    yield prepared
    assert all(os.path.lexists(prepared / name) for name in KEPT)
    assert stat.S_ISFIFO((prepared / "pipe").stat().st_mode)
    assert stat.S_ISCHR((prepared / "device").stat().st_mode)


def test_every_argument_has_a_kind() -> None:
    assert all(kind_of(*argument) in KINDS for argument in all_arguments())
    assert all(kind_of("pytest", option) in KINDS for option in options_of_pytest())


@pytest.mark.parametrize(("command", "argument", "value"), LINES)
def test_a_wrong_value_is_told_in_one_line(
    command: str, argument: str, value: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    right = RIGHT[command].split()
    if argument.startswith("--"):
        words = [*(word for word in right if word.partition("=")[0] != argument), f"{argument}={value}"]
    else:
        words = [*(word for word in right if word.startswith("--")), value]
    try:
        status = main([*command.split(), *words])
    except SystemExit as ended:
        status = ended.code
    error = capsys.readouterr().err
    said = error.splitlines()
    if said and said[0].startswith("usage: "):
        said = said[-1:]
    assert status == MISTAKE, error[-500:]
    assert len(said) == 1 and said[0].startswith("python -m bench") and said[0].isprintable(), error[-500:]
    assert "a bug of" not in said[0]


@pytest.mark.parametrize(("option", "value"), OF_PYTEST)
def test_a_wrong_value_of_pytest_s_options_is_told_in_one_line(
    option: str, value: str, here: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(here)
    right = {
        "--boxes-suite": "suite.toml", "--boxes-store": "new.sqlite", "--boxes-report-dir": "reports",
        "--boxes-limit": "1",
    }  # fmt: skip
    given = [f"{name}={text}" for name, text in (right | {option: value}).items()]
    if option == "--boxes-server":
        given.append("--boxes-engine=server")
    result = pytester.runpytest_inprocess(
        f"--rootdir={ROOT}", f"--config-file={ROOT / 'pytest.ini'}", f"--confcutdir={ROOT}",
        "-p", "no:cacheprovider", str(ROOT / "tests" / "hypotheses" / "test_code.py"), *given,
    )  # fmt: skip
    told = result.stdout.str() + result.stderr.str()
    assert result.ret == MISTAKE, told[-800:]
    assert "Traceback" not in told and "INTERNALERROR" not in told and "a bug of" not in told
    errors = [line for line in result.errlines if line.startswith(("ERROR: ", "pytest: error: "))]
    assert len(errors) == 1 or "error: argument" in told, told[-800:]
