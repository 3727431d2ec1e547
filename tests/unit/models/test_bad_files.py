"""Damaged and malicious model folders: one kind of error, in one line, and never an endless wait."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from bench.inputs import InputError, bounded
from bench.models.chat import render_for
from bench.models.loading import load
from bench.models.machine import unavailable
from bench.records import ModelEntry, Turn


@pytest.fixture
def folder(random_checkpoints: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(random_checkpoints / "one", tmp_path / "model"))


def config(**changes: object) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        table = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(table | changes))

    return change


def write(name: str, text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(text)


def index(weight_map: object) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        (folder / "model.safetensors").unlink()
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))

    return change


def pipe(name: str) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)

    return change


def only(*names: str) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        for path in folder.iterdir():
            path.unlink()
        for name in names:
            (folder / name).touch()

    return change


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        pytest.param(write("config.json", "null"), "expected a table of keys", id="config is null"),
        pytest.param(write("config.json", "[]"), "expected a table of keys", id="config is a list"),
        pytest.param(write("config.json", "{"), "cannot be read as JSON", id="config is cut"),
        pytest.param(write("config.json", '{"a":' * 100_000), "cannot be read as JSON", id="config is deep"),
        pytest.param(config(num_hidden_layers=20_000), "num_hidden_layers is above", id="20,000 layers"),
        pytest.param(config(vocab_size=10**400), "vocab_size is above", id="a vocabulary of 10^400"),
        pytest.param(config(text_config={"hidden_size": 10**9}), "hidden_size is above", id="nested size"),
        pytest.param(index({}), "weight_map: expected", id="empty index"),
        pytest.param(index({"a": 7}), "weight_map: expected a string", id="numeric index"),
        pytest.param(index({"a": {"b": "c"}}), "weight_map: expected a string", id="nested index"),
        pytest.param(index([]), "weight_map: expected a table", id="index is a list"),
        pytest.param(index({"a": "/etc/passwd"}), "which is not in its folder", id="index names a path"),
        pytest.param(pipe("model.safetensors"), "model.safetensors is missing", id="weights are a pipe"),
        pytest.param(pipe("config.json"), "config.json is missing", id="config is a pipe"),
        pytest.param(only("adapter_config.json"), "is an adapter .* as adapter = ", id="an adapter alone"),
    ],
)
def test_what_no_model_can_be_made_of_is_known_before_one_is_made(
    spoil: Callable[[Path], object], says: str, folder: Path
) -> None:
    spoil(folder)
    with pytest.raises(InputError, match=says):
        unavailable(ModelEntry("m", str(folder)))


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(config(rope_scaling={"rope_type": "spiral", "factor": 2.0}), id="unknown rope"),
        pytest.param(config(hidden_act="bang"), id="unknown activation"),
        pytest.param(config(dtype="float3"), id="unknown dtype"),
        pytest.param(config(model_type="abacus"), id="unknown architecture"),
        pytest.param(config(num_attention_heads=0), id="no heads"),
        pytest.param(config(hidden_size="wide"), id="a size in words"),
        pytest.param(config(num_hidden_layers=-1), id="layers below zero"),
        pytest.param(config(num_hidden_layers=0), id="fewer layers than the weights have"),
        pytest.param(write("tokenizer.json", "{}"), id="empty tokenizer"),
        pytest.param(write("tokenizer.json", "[" * 100_000), id="deep tokenizer"),
        pytest.param(write("tokenizer_config.json", "null"), id="tokenizer's config is null"),
        pytest.param(write("tokenizer_config.json", '{"eos_token": null}'), id="no EOS"),
        pytest.param(pipe("tokenizer.json"), id="tokenizer is a pipe"),
    ],
)
def test_what_transformers_cannot_load_is_one_kind_of_error(
    spoil: Callable[[Path], object], folder: Path
) -> None:
    spoil(folder)
    with pytest.raises(InputError) as told:
        load(ModelEntry("m", str(folder)), ["cpu"])
    assert str(told.value).startswith(("model m: ", str(folder))) and str(told.value).isprintable()


LOOP = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"


@pytest.mark.parametrize(
    ("template", "says"),
    [
        pytest.param(LOOP, "takes more than 5 s of processor time", id="endless", marks=pytest.mark.nightly),
        pytest.param("{{ 'a' * 10**10 }}", "takes more than 1000 MB of memory", id="huge at once"),
        pytest.param("{{ 'a' * 2000000 }}", "makes a prompt of 2,000,000 characters", id="long"),
        pytest.param("{{ 1 / 0 }}", "leaves out turns", id="fails on every turn"),
        pytest.param("{{ messages.nothing.at.all }}", "leaves out turns", id="undefined"),
    ],
)
def test_a_chat_template_runs_under_limits(template: str, says: str, folder: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = template
    with pytest.raises(InputError, match=says):
        render_for(ModelEntry("m", str(folder), chat=True), tokenizer)


def test_a_template_that_fails_on_one_prompt_alone_is_told(folder: Path) -> None:
    def apply_chat_template(messages: list[dict[str, str]], **others: object) -> str:
        if any("trap" in message["content"] for message in messages):
            raise KeyError("x")
        return "\n".join(message["content"] for message in messages)

    tokenizer = SimpleNamespace(chat_template="x", apply_chat_template=apply_chat_template, bos_token=None)
    render = render_for(ModelEntry("m", str(folder), chat=True), tokenizer)
    with pytest.raises(InputError, match="its chat template fails: KeyError"):
        render([Turn("system", "trap"), Turn("user", "b")])


def test_code_of_others_has_so_much_time() -> None:
    def loop() -> None:
        while True:
            try:
                for _ in iter(int, 1):
                    pass
            except Exception:  # code must not be able to catch the stop
                pass

    with pytest.raises(InputError, match="the loop takes more than 0 s"), bounded("the loop", seconds=0.05):
        loop()
    with bounded("nothing", seconds=0.05):
        pass
