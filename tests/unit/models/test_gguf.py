"""A GGUF file is a whole model: weights, configuration, tokenizer and chat template."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from bench import models
from bench.models import machine
from bench.models.suites import load_suite
from bench.records import Example, ModelEntry
from bench.run.evaluate import evaluate
from bench.run.options import Options
from bench.run.plans import Plan
from bench.store import Store
from fixtures import gguf_of


@pytest.fixture(scope="module")
def gguf(random_checkpoints: Path, tmp_path_factory: pytest.TempPathFactory) -> ModelEntry:
    """The untrained checkpoint "one" as a file."""
    file = tmp_path_factory.mktemp("gguf") / "one.gguf"
    gguf_of.write(random_checkpoints / "one", file)
    return ModelEntry("one", str(file))


def test_it_holds_the_model_that_was_written(
    gguf: ModelEntry, random_checkpoints: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = models.load(ModelEntry("one", str(random_checkpoints / "one")), ["cpu"])
    file = models.load(gguf, ["cpu"])
    assert "GGUF tensors" not in capfd.readouterr().err  # its progress bar would overwrite ours
    text = "Description: Box 0 contains the car.\nStatement: Box 0"
    assert file.tokenizer(text).input_ids == folder.tokenizer(text).input_ids
    weights = file.model.state_dict()
    assert all(torch.equal(weights[name], tensor) for name, tensor in folder.model.state_dict().items())
    assert file.dtype == "float32"


def test_both_engines_answer_it_alike_and_its_audit_is_the_folder_s(
    gguf: ModelEntry, random_checkpoints: Path, evaluation_examples: tuple[Example, ...]
) -> None:
    examples = evaluation_examples[:2]
    asked = [Plan(examples, Options(protocol="strict", engine=name)) for name in ("reference", "speculative")]
    answers = [evaluate(gguf, plan, Store(":memory:"), wait=0).completions for plan in asked]
    assert answers[0] == answers[1]
    plan = Plan(examples)
    folder = ModelEntry("one", str(random_checkpoints / "one"))
    found, expected = (plan.audit(entry, models.load_tokenizer(entry)) for entry in (gguf, folder))
    assert found.problem is None
    assert (found.longest, found.starts, found.prompt_tokens) == (
        expected.longest, expected.starts, expected.prompt_tokens,
    )  # fmt: skip


def test_its_fingerprint_is_of_the_file_alone(gguf: ModelEntry, tmp_path: Path) -> None:
    moved = ModelEntry("one", str(shutil.copy(gguf.path, tmp_path)))
    (tmp_path / "config.json").write_text("{}")
    assert models.fingerprint(moved) == models.fingerprint(gguf)
    with open(moved.path, "r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x7f")
    assert models.fingerprint(moved) != models.fingerprint(gguf)


@pytest.mark.parametrize(
    ("write", "fields", "said"),
    [
        pytest.param(lambda path: None, {}, "no file .*one.gguf", id="no file"),
        pytest.param(lambda path: path.write_bytes(b"PK" * 99), {}, "is not a GGUF file", id="another file"),
        pytest.param(lambda path: path.write_bytes(b"GGUF\3"), {}, "is not a GGUF file", id="four bytes"),
        pytest.param(
            lambda path: path.write_bytes(b"GGUF" * 99), {"quantization": "4bit"}, "full precision", id="4bit"
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(write, fields: dict, said: str, tmp_path: Path) -> None:
    write(tmp_path / "one.gguf")
    with pytest.raises(ValueError, match=f"model one: .*{said}"):
        models.unavailable(ModelEntry("one", str(tmp_path / "one.gguf"), **fields))


@pytest.mark.parametrize("kept", [5000, -1000], ids=["in its vocabulary", "in its weights"])
def test_a_cut_file_is_refused_in_one_line(kept: int, gguf: ModelEntry, tmp_path: Path) -> None:
    cut = tmp_path / "one.gguf"
    cut.write_bytes(Path(gguf.path).read_bytes()[:kept])
    with pytest.raises(ValueError, match="model one: transformers cannot load .*one.gguf") as error:
        models.load(ModelEntry("one", str(cut)), ["cpu"])
    assert "\n" not in str(error.value)


def test_without_the_extra_one_line_says_what_to_install(gguf: ModelEntry, monkeypatch) -> None:
    monkeypatch.setattr(machine, "find_spec", lambda name: None)
    assert models.unavailable(gguf) == "needs accelerate and gguf. Run pip install accelerate gguf."


def test_a_suite_names_it_as_a_path(tmp_path: Path) -> None:
    suite = tmp_path / "suite.toml"
    suite.write_text('name = "files"\n[[models]]\nname = "one"\npath = "one.gguf"\n')
    assert load_suite(str(suite)).models["one"].path == str(tmp_path / "one.gguf")
