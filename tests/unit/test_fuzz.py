"""Readers of untrusted files return a checked value or raise the documented error with one line."""

from __future__ import annotations

import io
import json
import struct
import time
import zipfile
from argparse import Namespace
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import redirect_stdout
from dataclasses import fields
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench import DATA
from bench.decoding.client import Cards, Server
from bench.decoding.server import listed
from bench.inputs import InputError
from bench.models.files import weights_of
from bench.models.suites import NAME, load_suite
from bench.nights.files import load
from bench.records import Completion, ModelEntry, Operation, Pair, Scenario, Suite
from bench.report.command import read_run
from bench.run.options import Options, options_of
from bench.run.plans import choose_models, override
from bench.scoring.predictions import score_predictions
from bench.store import Run, Settings, Store, command
from bench.store.completions import FIELDS, RUN_FIELDS, completion, digest
from bench.task.prompts import PROTOCOLS, constraint
from bench.task.release import PASSWORD, read_release
from bench.task.write import rows
from fixtures.fuzz import Make, as_json, damaged, edited, either, random_text, written

EXAMPLES = pytest.mark.parametrize(
    "examples", [pytest.param(20, id="short"), pytest.param(100_000, id="long", marks=pytest.mark.nightly)]
)
PAPER = constraint(PROTOCOLS["paper"])


def fuzz(
    examples: int,
    make: Make,
    read: Callable[[Any], object],
    documented: tuple[type[Exception], ...] = (InputError,),
) -> None:
    """Read many inputs. Only the documented errors may occur, each with one printable line."""

    def check(value: Any) -> None:
        try:
            read(value)
        except documented as error:
            assert str(error) and str(error).isprintable() and len(str(error)) < 5000

    if examples > 1000:
        search(examples, make, check)
    else:
        shrink(examples, make, check)


def shrink(examples: int, make: Make, check: Callable[[Any], None]) -> None:
    """The same inputs each time, and the smallest failing one."""
    given(st.randoms(use_true_random=False))(
        settings(
            max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck),
            derandomize=True,
        )(lambda random: check(make(random)))
    )()  # fmt: skip


def search(examples: int, make: Make, check: Callable[[Any], None]) -> None:
    """Other inputs each time, and the first failing one."""
    seed = time.time_ns()
    random = Random(seed)
    for number in range(examples):
        value = make(random)
        try:
            check(value)
        except BaseException as error:
            error.add_note(f"input {number} of seed {seed}: {value!r}"[:20_000])
            raise


@pytest.fixture
def place(tmp_path: Path) -> Callable[[str, bytes], Path]:
    def write(name: str, data: bytes) -> Path:
        path = tmp_path / name
        path.unlink(missing_ok=True)  # truncating an old file waits for the disk
        path.write_bytes(data)
        return path

    return write


SUITE = """
name = "fuzzed"
recorded = "recorded.csv"
[[models]]
name = "one"
path = "folder/one"
parameters = 1.5
chat = true
dtype = "bfloat16"
[[models]]
name = "two"
hub = "org/two"
revision = "0123456789012345678901234567890123456789"
family = "a"
[[pairs]]
hypothesis = "code"
base = "one"
variant = "two"
control = "positive"
series = "a"
"""


@EXAMPLES
def test_a_suite(examples: int, place) -> None:
    place("recorded.csv", b"model,num_ops,n,accuracy_percent\none,0,10,50.0\n")

    def read(data: bytes) -> None:
        suite = load_suite(str(place("suite.toml", data)))
        assert all(NAME.fullmatch(name) for name in (suite.name, *suite.models))
        assert all({pair.base, pair.variant} <= suite.models.keys() for pair in suite.pairs)

    fuzz(examples, damaged(SUITE.encode()), read)


@EXAMPLES
def test_recorded_figures(examples: int, place) -> None:
    place("suite.toml", SUITE.encode())
    lines = b"model,num_ops,n,accuracy_percent\none,0,10,50.0\none,1,8,12.5\ntwo,0,10,0.0\ntwo,1,8,100\n"

    def read(data: bytes) -> None:
        place("recorded.csv", data)
        suite = load_suite(str(place("suite.toml", SUITE.encode())))
        assert all(0 <= entry.value <= 1 for model in suite.recorded.values() for entry in model.values())

    fuzz(examples, damaged(lines), read)


RESULTS = {
    "metadata": {
        "run": "r", "data set": "evaluation 0123", "version of the task": "base", "protocol": "paper 0123",
    },
    "asked": {
        "dataset": "evaluation", "seed": 0, "version": "base", "limit": 4, "protocol": "paper",
        "metric": "generation",
    },
    "models": {"one": {"fingerprint": {"model.weights": "1f", "engine": "x", "max_new_tokens": 100}}},
    "verdicts": [{"comparison": {"pair": {"base": "one", "variant": "two"}}}],
    "skipped": {"two": "no server has it"},
}  # fmt: skip


@EXAMPLES
def test_results_of_a_run(examples: int, place, tmp_path: Path) -> None:
    def read(data: bytes) -> None:
        place("results.json", data)
        made = read_run(tmp_path)
        assert 0 <= made.asked.seed < 2**63

    fuzz(examples, either(written(edited(RESULTS)), damaged(as_json(RESULTS))), read)


@EXAMPLES
def test_a_saved_night(examples: int, place) -> None:
    night = json.loads((DATA / "baseline.json").read_text())
    name, model = next(iter(night["models"].items()))
    kept = model["answers"][:0]
    counts = {
        bucket: {**found, "n": 0, "correct": 0, "scenarios": 0}
        for bucket, found in model["accuracies"].items()
    }
    small = night | {"models": {name: model | {"answers": kept, "accuracies": counts}}}
    load(place("night.json", as_json(small)))  # is read

    def read(data: bytes) -> None:
        found = load(place("night.json", data))
        assert all(
            entry.correct <= entry.n for model in found.models.values() for entry in model.accuracies.values()
        )

    fuzz(examples, either(written(edited(small)), damaged(as_json(small))), read)


REPLY = {
    "model": "one",
    "choices": [{"text": "Statement: Box 0 contains nothing", "finish_reason": "stop", "index": 0}],
    "usage": {"prompt_tokens": 30, "completion_tokens": 9, "total_tokens": 39},
}


@EXAMPLES
def test_a_server_s_reply(examples: int) -> None:
    server = Server("http://127.0.0.1:9/v1")
    prompt = "Description: Box 0 contains nothing. " * 4

    def read(data: bytes) -> None:
        answer: Future[str] = Future()
        answer.set_result(data.decode(errors="replace"))
        found = server.read(answer, "one", prompt, PAPER.max_new_tokens)
        assert found.finish_reason in ("stop", "length") and 0 < found.prompt_tokens <= len(prompt) + 8
        assert len(found.text) <= 128 * PAPER.max_new_tokens

    try:
        fuzz(
            examples,
            either(written(edited(REPLY)), damaged(as_json(REPLY))),
            read,
            (ConnectionError, ValueError),
        )
    finally:
        server.close()


@EXAMPLES
def test_a_server_s_list_of_models(examples: int) -> None:
    server = Server("http://127.0.0.1:9/v1")
    models = {"object": "list", "data": [{"id": "one", "owned_by": "vllm"}, {"id": "two", "object": "model"}]}

    def read(data: bytes) -> None:
        found = server.decode(data.decode(errors="replace"), Cards).data
        assert listed([card.id for card in found]).isprintable()

    try:
        make = either(written(edited(models)), damaged(as_json(models)))
        fuzz(examples, make, read, (ConnectionError,))
    finally:
        server.close()


def weights() -> bytes:
    header = as_json({"w": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}})
    return struct.pack("<Q", len(header)) + header + bytes(16)


CONFIG = {
    "model_type": "llama", "vocab_size": 8, "hidden_size": 4, "num_hidden_layers": 1,
    "text_config": {"vocab_size": 8},
}  # fmt: skip
INDEX = {"metadata": {}, "weight_map": {"w": "one.safetensors", "v": "two.safetensors"}}


@EXAMPLES
def test_the_files_of_a_model(examples: int, place, tmp_path: Path) -> None:
    """A folder of shards, one of whose files is damaged."""
    entry = ModelEntry("fuzzed", str(tmp_path))
    whole = {
        "config.json": as_json(CONFIG), "model.safetensors.index.json": as_json(INDEX),
        "one.safetensors": weights(), "two.safetensors": weights(),
    }  # fmt: skip
    for name, data in whole.items():
        place(name, data)
    assert len(weights_of(entry)) == 2
    makes = {
        "config.json": either(written(edited(CONFIG)), damaged(whole["config.json"])),
        "model.safetensors.index.json": either(
            written(edited(INDEX)), damaged(whole["model.safetensors.index.json"])
        ),
        "one.safetensors": damaged(weights()),
    }

    def make(random: Random) -> tuple[str, bytes]:
        name = random.choice(list(makes))
        return name, makes[name](random)

    def read(file: tuple[str, bytes]) -> None:
        place(*file)
        try:
            assert all(path.parent == tmp_path and path.is_file() for path in weights_of(entry))
        finally:
            place(file[0], whole[file[0]])

    fuzz(examples, make, read)


TYPED = (
    "", ",", ",,", "auto", "0", "1", "-1", "nan", "1e999", "9" * 5_000, "\u0663", "one", "one,two", "code",
    "off", "http://[", "http://a:99999", "http://a\x00b", "https://u:p@h/v1", "x" * 5_000, "dtype=int3",
    "chat=maybe", "memory_gb=nan", "parameters=1e999", "path=x", "=", "a=b=c", "revision=\x1b[31m",
    "~nosuchuser", "\ud800",
)  # fmt: skip


@EXAMPLES
def test_options_as_typed(examples: int) -> None:
    models = {name: ModelEntry(name, name) for name in ("one", "two")}
    suite = Suite("fuzzed", models, (Pair("code", "one", "two"),))
    kinds = {entry.name: type(entry.default) for entry in fields(Options)}

    def value(random: Random, kind: type) -> Any:
        if kind is float:
            return random.choice((0.0, -1.0, 1e308, float("inf"), float("nan")))
        if kind is int:
            return random.choice((0, 1, -1, 2**63, random.randint(-(2**70), 2**70)))
        if kind is bool:
            return random.randint(0, 1) == 1
        return random.choice(TYPED) if random.randint(0, 2) else random_text(random)

    def make(random: Random) -> dict[str, Any]:
        names = [random.choice(list(kinds)) for _ in range(random.randint(1, 3))]
        return {f"boxes_{name}": value(random, kinds[name]) for name in names}

    def read(parsed: dict[str, Any]) -> None:
        found = options_of(parsed)
        assert 0 <= found.seed < 2**63 and found.wait >= 0
        changed = override(suite, found.model_args)
        assert changed.models.keys() == models.keys()
        choose_models(changed, found.models)

    fuzz(examples, make, read)


SCENARIO = Scenario(
    "s0-0",
    (frozenset({"car", "key"}), frozenset(), frozenset({"pen"})),
    (Operation(frozenset({"car"}), source=0, target=2),),
)
GOLD = "".join(f"{row}\n" for row in rows(SCENARIO)).encode()
PREDICTIONS = b"".join(
    json.dumps({"input": "...", "prediction": text}).encode() + b"\n"
    for text in (
        "Statement: Box 0 contains the car and the key, Box 1 contains nothing, Box 2 contains the pen.",
        "Statement: Box 0 contains the key, Box 1 contains nothing, Box 2 contains the car and the pen.",
    )
)


@EXAMPLES
def test_predictions_and_gold(examples: int, place) -> None:
    def read(files: tuple[bytes, bytes]) -> None:
        gold, predictions = (place(name, data) for name, data in zip(("gold", "said"), files, strict=True))
        found, _ = score_predictions(gold, predictions)
        json.dumps(found, allow_nan=False)

    gold, predictions = damaged(GOLD), damaged(PREDICTIONS)
    pairs = either(lambda random: (GOLD, predictions(random)), lambda random: (gold(random), PREDICTIONS))
    fuzz(examples, pairs, read)


def zipped() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("folder/test.jsonl", GOLD)
        archive.writestr("other.jsonl", b"{}")
    return out.getvalue()


@EXAMPLES
def test_a_zip_and_its_rows(examples: int, place) -> None:
    def read(data: bytes) -> None:
        read_release(place("set.zip", data), PASSWORD, "test.jsonl")

    def pack(rows: bytes) -> bytes:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr("folder/test.jsonl", rows)
        return out.getvalue()

    rows = damaged(GOLD)
    fuzz(examples, either(damaged(zipped()), lambda random: pack(rows(random))), read)


SETTINGS = Settings({"weights": "1f", "chat": False}, PAPER, "speculative/1")
VALUES = (
    None, 0, -1, 2**62, 0.5, "", "x", "\x1b[31m\n", b"", b"\xff\x00", "[]", "{}", "null", "[1, 2]",
    '{"engine": 1}', "[" * 3_000, '{"a": NaN}', "9" * 5_000, "[1e999]", '"x"', "[null]", "stop", "1" * 64,
)  # fmt: skip


def cell(random: Random) -> Any:
    """A value that SQLite keeps."""
    kind = random.randint(0, 3)
    if kind == 0:
        return random_text(random).encode("utf-8", "replace").decode()
    return random.randint(-(2**63), 2**63 - 1) if kind == 1 else random.choice(VALUES)


@pytest.fixture
def stored() -> bytes:
    with Store(":memory:") as store:
        for text, run in (("a", "one"), ("b", "two")):
            store.add([(SETTINGS.key(text), Completion(text, "stop", 3, (1, 2)))], Run(run, "tiny", SETTINGS))
        return store.database.serialize()


@EXAMPLES
def test_rows_of_a_store(examples: int, stored: bytes, tmp_path: Path, monkeypatch) -> None:
    """Values of any type in any field, with recomputed digests, like an attacker's."""
    columns = [("runs", name) for name in RUN_FIELDS.split(", ")]
    columns += [("completions", name) for name in (*FIELDS.split(", "), "run")]
    actions = ("ls", "verify", "why-miss", "export", "merge")

    def make(random: Random) -> tuple[list[tuple[tuple[str, str], Any]], bool, str]:
        edits = [(random.choice(columns), cell(random)) for _ in range(random.randint(1, 3))]
        return edits, random.randint(0, 1) == 0, random.choice(actions)

    def read(drawn: tuple[list[tuple[tuple[str, str], Any]], bool, str]) -> None:
        edits, honest, action = drawn
        with Store(":memory:") as store:
            store.database.deserialize(stored)
            for (table, column), value in edits:
                store.database.execute(
                    f"UPDATE OR IGNORE {table} SET {column} = ? WHERE number = 1", (value,)
                )
            if not honest:
                for number, *row in store.database.execute(
                    f"SELECT number, {FIELDS} FROM completions"
                ).fetchall():
                    store.database.execute(
                        "UPDATE completions SET digest = ? WHERE number = ?", (digest(row[:-1]), number)
                    )
            act(store, action)

    def act(store: Store, action: str) -> None:
        target = Store(":memory:")
        store.path = tmp_path / "crafted.sqlite"
        arguments = Namespace(
            model=None, others=["crafted"], output=str(tmp_path / "out.jsonl"), store="s", format="jsonl"
        )
        for found in store.get([SETTINGS.key("a"), SETTINGS.key("b")]).values():
            assert isinstance(found.text, str) and found.finish_reason in ("stop", "length")
            assert type(found.prompt_tokens) is int and all(type(token) is int for token in found.token_ids)
        if action == "merge":
            monkeypatch.setattr(command, "Store", lambda path, readonly: store)
            list(command.merge(target, arguments))
        else:
            list(command.ACTIONS[action](store, arguments))
            store.problems()

    with redirect_stdout(io.StringIO()):
        fuzz(examples, make, read, (InputError, OSError))


def test_a_key_of_another_type_is_no_answer() -> None:
    row = (b"\x00", "a", "stop", 3, "[1, 2]")
    assert completion((*row, digest(row))) is None
    assert completion(("00", *row[1:], digest(("00", *row[1:])))) == Completion("a", "stop", 3, (1, 2))
