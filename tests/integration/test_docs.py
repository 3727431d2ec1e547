"""What README and docs/ tell a reader to type: the Python is run as written, commands are parsed."""

from __future__ import annotations

import argparse
import re
import shlex
import shutil
import textwrap
from importlib import import_module
from pathlib import Path

import huggingface_hub
import pytest

from bench import ROOT
from bench.commands import COMMANDS
from bench.plugin.command import long_option
from bench.records import Example
from bench.run.options import add_options

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
HUB_ID = re.compile(r'"([\w-]+/[\w.-]+)"')


def blocks(page: Path, language: str) -> list[str]:
    return [text for kind, text in BLOCK.findall(page.read_text(encoding="utf-8")) if kind == language]


def commands() -> list[tuple[str, ...]]:
    """The lines of all pages that call the suite or pytest, each once."""
    lines = [line for page in PAGES for text in blocks(page, "sh") for line in text.splitlines()]
    words = [tuple(shlex.split(line, comments=True)) for line in lines]
    ours = [found[2:] if found[:2] == ("python", "-m") else found for found in words]
    return list(dict.fromkeys(found for found in ours if found[:1] in (("boxes",), ("bench",), ("pytest",))))


@pytest.fixture
def hub(random_checkpoints: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's cache, in which every model that a page names is an untrained one."""
    named = sorted(
        {name for page in PAGES for text in blocks(page, "python") for name in HUB_ID.findall(text)}
    )
    for number, name in enumerate(named):
        repository = tmp_path / f"models--{name.replace('/', '--')}"
        commit = f"{number:040}"
        shutil.copytree(random_checkpoints / ("one", "two")[number % 2], repository / "snapshots" / commit)
        (repository / "refs").mkdir()
        (repository / "refs" / "main").write_text(commit)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    return tmp_path


def test_the_python_of_the_docs_runs_as_written(
    hub: Path, random_checkpoints: Path, evaluation_examples: tuple[Example, ...], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """On two examples. The page's reader has a model in training, and so has this test."""
    pytest.importorskip("accelerate", reason="needs pip install accelerate")
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, Trainer, TrainingArguments

    monkeypatch.setattr("bench.run.plans.load_examples", lambda *asked: list(evaluation_examples[:2]))
    place = random_checkpoints / "one"
    ids = torch.arange(16)
    known = {
        "model": AutoModelForCausalLM.from_pretrained(place),
        "tokenizer": AutoTokenizer.from_pretrained(place),
        "data": [{"input_ids": ids, "labels": ids}],
        "args": TrainingArguments(tmp_path / "run", max_steps=1, report_to="none", use_cpu=True),
        "Trainer": Trainer,
    }
    pages = {page.name: blocks(page, "python") for page in PAGES}
    assert len(pages["python.md"]) >= 2
    for name, texts in pages.items():
        for text in texts:
            exec(compile(textwrap.dedent(text), name, "exec"), known)
    assert list(known["result"].accuracy().columns)[:3] == ["n", "correct", "accuracy"]
    assert repr(known["found"]) and "boxes/accuracy_0" in known["trainer"].state.log_history[0]


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_the_commands_of_the_docs_have_options_that_exist(words: tuple[str, ...]) -> None:
    program, *arguments = words
    options: list[str] = []
    add_options(lambda flag, **settings: options.append(flag))
    rest = arguments
    if program != "pytest":
        name, *arguments = arguments
        parser = argparse.ArgumentParser(name, exit_on_error=False)
        import_module(COMMANDS[name][0]).add_arguments(parser)
        _, rest = parser.parse_known_args(arguments)
        assert name == "run" or rest == []
    flags = [long_option(word).partition("=")[0] for word in rest if word.startswith("--")]
    assert [flag for flag in flags if flag not in options] == []
