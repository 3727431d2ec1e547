"""Mistakes of users, one row each: one line that names the mistake, exit status 4, and a prompt end."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from bench import ROOT
from bench.commands import main
from bench.inputs import MISTAKE, InputError
from bench.run.options import Options
from bench.store import Store

LONG = "x" * 300


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with files that should never be read, and an empty store."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "deep.toml").write_text("a = " + "[" * 3000 + "]" * 3000)
    (tmp_path / "deep.json").write_text("[" * 3000 + "]" * 3000)
    (tmp_path / "figures.csv").write_text(f"model,bucket,accuracy,n\na,ops0,0.5,{'9' * 400}\n")
    model = '[[models]]\nname = "a"\npath = "a"\n'
    (tmp_path / "figures.toml").write_text(f'name = "s"\nrecorded = "figures.csv"\n{model}')
    row = '"sentence": "a", "sentence_masked": "a", "masked_content": "a"'
    (tmp_path / "infinite.jsonl").write_text(f'{{{row}, "numops": Infinity}}\n')
    Store(tmp_path / "store.sqlite").close()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "results.json").write_text("null")
    return tmp_path


@pytest.mark.parametrize(
    ("command", "says"),
    [
        *(("score --limit=1 --suite=" + name, name.partition("/")[0][:30])
          for name in ("deep.toml", "loop", "pipe", LONG, "~nosuchuser/x.toml")),
        *(("score --limit=1 --dataset=release:" + name, name[:30]) for name in ("pipe", "loop", LONG)),
        *(("store ls --store " + name, name.partition("/")[0][:30])
          for name in ("pipe", "loop", LONG, "~nosuchuser/x")),
        ("score --limit=1 --suite=figures.toml", "figures.csv, line 2: cannot be read as recorded"),
        ("store export --store pipe --output x", "pipe is not a file"),
        ("store merge --store new.sqlite pipe", "pipe is not a file"),
        ("report run", "results.json: expected a table of keys"),
        *(("report " + name, name.partition("/")[0][:30])
          for name in ("pipe", "loop", LONG, "~nosuchuser/x")),
        ("score-predictions --gold infinite.jsonl --predictions infinite.jsonl", "row 1: not a row of"),
        ("score-predictions --gold pipe --predictions pipe", "pipe is not a file"),
        ("score-predictions --gold deep.json --predictions pipe", "deep.json, row 1"),
        ("score-predictions --gold /dev/zero --predictions pipe", "/dev/zero is not a file"),
        *(("baseline-update " + name, name.partition("/")[0][:30])
          for name in ("deep.json", "pipe.json", LONG, "~nosuchuser/x.json", "../x")),
        *(("generate --scenarios=3 --out " + name, name.partition("/")[0][:30])
          for name in ("pipe", LONG, "~nosuchuser/x")),
        ("benchmark --device=x", "no device 'x' here"),
        ("train-tiny --tokens=9 --out=out --device=x", "no device 'x' here"),
        ("train-tiny --arm=code --size=5m --out=out", "has its parent's size"),
        ("power --design-effect=nan", "--design-effect nan is not a number"),
        ("power --design-effect=inf", "--design-effect inf is not a number"),
        ("power --differing=nan", "--differing nan is not a share"),
        ("power --store=nowhere", "no store at nowhere"),
        ("simulate --out=deep.json", "deep.json: "),
        ("simulate --out=pipe.json", "pipe.json is not a file"),
        ("store export --store store.sqlite --output loop", "loop is not a path"),
        ("store export --store store.sqlite --output pipe", "pipe is not a file"),
        ("generate --scenarios=3 --out=out --password=", "--password is empty"),
        ("score ~nosuchuser", "~nosuchuser is not a path"),
        ("score loop", "loop is not a path"),
        (f"score --limit=1 --batch-size={'9' * 5000}", "is neither a positive number nor auto"),
        ("score --limit=1 --pack-tokens=\u0663", "is neither a positive number nor auto"),
        ("score --engine=server --server=http://127.0.0.1:0/v1", "is not a URL"),
        ("score --limit=1 --seed=-1", "--seed -1 is not in the range 0"),
        ("score --limit=1 --wait=-1", "--wait -1.0 is not a time"),
        ("score --limit=1 --wait=nan", "--wait nan is not a time"),
        ("score --engine=server --server=http://[::1", "'http://[::1' is not a URL"),
        ("score --engine=server --server=http://a:99999", "'http://a:99999' is not a URL"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_with_status_4(
    command: str, says: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = command.split()
    if words[0] == "score" and "--store" not in command:
        words.append("--store=new.sqlite")
    assert main(words) == MISTAKE
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and says in error, error
    assert "bug of" not in error


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["generate", "--scenarios=3", "--out="], "--out"),
        (["generate", "--scenarios=3", "--out", ""], "--out"),
        (["report", ""], "STORE_OR_RUN"),
    ],
)
def test_an_empty_path_is_not_the_current_folder(
    words: list[str], name: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = set(here.iterdir())
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == MISTAKE
    assert f"argument {name}: an empty path. Write the name" in capsys.readouterr().err
    assert set(here.iterdir()) == before


@pytest.mark.parametrize(
    ("command", "option", "value"),
    [
        ("generate --out x", "seed", "-1"),
        ("generate --out x", "seed", "9" * 5000),
        ("generate --out x", "boxes", "-1"),
        ("generate --out x", "operations", "-1"),
        ("generate --out x", "operations", "10001"),
        ("generate --out x", "scenarios", "-5"),
        ("generate --out x", "scenarios", "9" * 20),
        ("baseline", "seed", "-1"),
        ("baseline", "seed", "1e3"),
        ("power", "seed", "-1"),
        ("power", "pairs", "0"),
        ("power", "limit", "-1"),
        ("probes", "pairs", "0"),
        ("probes", "operations", "99999999999"),
        ("probes", "seed", "-1"),
        ("simulate", "repetitions", "0"),
        ("simulate", "seed", "-1"),
        ("export-task inspect --out x", "seed", "-1"),
        ("train-tiny", "tokens", "0"),
        ("train-tiny", "seed", "-1"),
        ("report run", "seed", "-1"),
        ("report run", "limit", "0"),
        ("benchmark", "err", "nan"),
        ("benchmark", "err", "2"),
        ("benchmark", "dtype", "nn"),
        ("benchmark", "threads", "0"),
        ("benchmark", "threads", "99999"),
        ("benchmark", "scenarios", "-1"),
        ("benchmark", "pack-tokens", "0"),
        ("benchmark", "repeats", "\u0663"),
    ],
)
def test_a_number_out_of_its_bounds_is_one_line_below_the_usage(
    command: str, option: str, value: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*command.split(), f"--{option}={value}"])
    usage, line = capsys.readouterr().err.rstrip("\n").rsplit("\n", 1)
    assert ended.value.code == MISTAKE and usage.startswith("usage:")
    assert f"argument --{option}: " in line and len(line) < 300
    assert not list(here.glob("x*"))


def test_a_zip_that_grows_is_read_up_to_its_limit(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("bench.task.release.MOST_BYTES", 1_000_000)
    with zipfile.ZipFile("bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.jsonl", bytes(2_000_000))
    assert main(["score", "--dataset=release:bomb.zip/x.jsonl", "--store=new.sqlite"]) == MISTAKE
    assert "x.jsonl of bomb.zip has more than 1 MB" in capsys.readouterr().err


def test_a_name_with_a_line_break_is_no_path(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["store", "ls", "--store", "a\nb"]) == MISTAKE
    assert "it has a control character" in capsys.readouterr().err


def test_options_are_checked_where_they_are_made() -> None:
    with pytest.raises(InputError, match="--boxes-wait"):
        Options(wait=float("nan"))


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("score --help", 0),
        ("train-tiny --help", 0),
        ("benchmark --help", 0),
        ("gpu-check --help", 0),
        ("score --engin server", MISTAKE),
        ("score nobody/has-this", MISTAKE),
        ("score --suite nope", MISTAKE),
    ],
)
def test_help_and_refusals_come_before_torch(command: str, status: int) -> None:
    """Its import takes seconds."""
    code = (
        "import sys; from bench.commands import main\n"
        "try: status = main(sys.argv[1:])\n"
        "except SystemExit as ended: status = ended.code\n"
        "print(status, 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *command.split()], cwd=ROOT, capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1] == f"{status} False", done.stderr
