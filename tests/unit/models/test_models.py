"""Checkpoints on disk: finding, refusing, fingerprints and loading."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import huggingface_hub.constants
import pytest
import torch
from safetensors.torch import load_file, save_file

from bench import ROOT, models
from bench.models import files, loading, machine
from bench.records import ModelEntry
from fixtures.checkpoints import make_checkpoint

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("original"))


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(original, tmp_path / "checkpoint"))


def entry_of(folder: Path, **fields) -> ModelEntry:
    return ModelEntry("small", str(folder), **fields)


def change_tensors(folder: Path, change) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def to_pickle(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(tensors, folder / "pytorch_model.bin")


def to_adapter(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text("{}")


def to_gguf(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "q4.gguf")


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({}, id="one file"),
        pytest.param({"max_shard_size": "50KB"}, id="sharded"),
        pytest.param({"tie_word_embeddings": True}, id="tied head"),
    ],
)
def test_checkpoint_is_loaded_whole(settings: dict, tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path, **settings)
    loaded = models.load(entry_of(folder), ["cpu"])
    saved = {k: v for file in folder.glob("*.safetensors") for k, v in load_file(file).items()}
    state = loaded.model.state_dict()
    assert (loaded.device, loaded.dtype, loaded.tokenizer.padding_side) == ("cpu", "float32", "left")
    assert all(torch.equal(state[name], tensor) for name, tensor in saved.items())
    head, embedding = loaded.model.get_output_embeddings().weight, loaded.model.get_input_embeddings().weight
    assert (head is embedding) == settings.get("tie_word_embeddings", False)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(
            lambda t: t.pop("model.layers.1.mlp.up_proj.weight"), "lacks model.layers.1.mlp", id="missing"
        ),
        pytest.param(
            lambda t: t.update({"model.norm.weight": torch.ones(3)}),
            "wrong shape for model.norm",
            id="wrong shape",
        ),
    ],
)
def test_checkpoint_that_does_not_fill_the_model_is_refused(change, said: str, folder: Path) -> None:
    change_tensors(folder, change)
    with pytest.raises(ValueError, match=f"model small: the checkpoint .*{said}"):
        models.load(entry_of(folder), ["cpu"])


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        pytest.param(shutil.rmtree, "no folder", id="no folder"),
        pytest.param(lambda f: truncate(f / "model.safetensors"), "is damaged", id="truncated"),
        pytest.param(lambda f: (f / "model.safetensors").unlink(), "no model.safetensors", id="no weights"),
        pytest.param(lambda f: (f / "config.json").unlink(), "config.json is missing", id="no config"),
        pytest.param(to_pickle, "set allow_pickle = true", id="pickle"),
        pytest.param(to_adapter, 'is an adapter .*this folder as adapter = "', id="an adapter as a model"),
        pytest.param(to_gguf, 'has a GGUF file. .*path = ".../q4.gguf"', id="a folder with a GGUF file"),
    ],
)
def test_folder_that_cannot_be_loaded_is_refused_before_torch_sees_it(
    damage, said: str, folder: Path
) -> None:
    damage(folder)
    for ask in (models.unavailable, models.fingerprint, lambda entry: models.load(entry, ["cpu"])):
        with pytest.raises(ValueError, match=f"model small: .*{said}"):
            ask(entry_of(folder))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        pytest.param(
            lambda f: edit(f / "config.json", model_type="novel"), "novel", id="unknown architecture"
        ),
        pytest.param(
            lambda f: edit(f / "config.json", model_type="novel", auto_map={"AutoConfig": "code.Config"}),
            "trust_remote_code",
            id="code of its own",
        ),
        pytest.param(lambda f: [path.unlink() for path in f.glob("token*")], "tokenizer", id="no tokenizer"),
    ],
)
def test_folder_that_transformers_cannot_load_is_refused_in_one_line(damage, said: str, folder: Path) -> None:
    damage(folder)
    with pytest.raises(ValueError, match=f"model small: transformers cannot load .*{said}") as error:
        models.load(entry_of(folder), ["cpu"])
    assert "\n" not in str(error.value)


def test_pickle_is_loaded_where_it_is_allowed(folder: Path) -> None:
    before = models.load(entry_of(folder), ["cpu"]).model.state_dict()
    to_pickle(folder)
    after = models.load(entry_of(folder, allow_pickle=True), ["cpu"]).model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_missing_shard_is_named(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path, max_shard_size="50KB")
    lost = sorted(folder.glob("*.safetensors"))[1]
    lost.unlink()
    with pytest.raises(ValueError, match=f"{lost.name} is missing"):
        models.unavailable(entry_of(folder))


def test_fingerprint_is_the_same_wherever_the_folder_lies(original: Path, folder: Path) -> None:
    assert models.fingerprint(entry_of(original)) == models.fingerprint(entry_of(folder))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda f: change_tensors(f, lambda t: t["model.norm.weight"].add_(1)), id="a weight"),
        pytest.param(lambda f: edit(f / "config.json", rms_norm_eps=0.1), id="the config"),
        pytest.param(lambda f: edit(f / "tokenizer_config.json", eos_token="<s>"), id="the tokenizer"),
        pytest.param(lambda f: (f / "chat_template.jinja").write_text("hi"), id="the chat template"),
    ],
)
def test_fingerprint_changes_with(change, original: Path, folder: Path) -> None:
    change(folder)
    assert models.fingerprint(entry_of(original)) != models.fingerprint(entry_of(folder))


@pytest.mark.parametrize("fields", [{"chat": True}, {"dtype": "bfloat16"}, {"quantization": "8bit"}])
def test_fingerprint_changes_with_how_it_is_run(fields: dict, original: Path) -> None:
    assert models.fingerprint(entry_of(original)) != models.fingerprint(entry_of(original, **fields))


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_adapter_is_applied_as_it_was_saved_and_refused_where_it_lacks_a_tensor(
    original: Path, tmp_path: Path
) -> None:
    peft = pytest.importorskip("peft")
    base = models.load(entry_of(original), ["cpu"]).model
    lora = peft.LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)
    adapted = peft.get_peft_model(base, lora).eval()
    adapted.save_pretrained(tmp_path)
    input_ids = torch.arange(10)[None]
    entry = entry_of(original, adapter=str(tmp_path))
    assert torch.equal(models.load(entry, ["cpu"]).model(input_ids).logits, adapted(input_ids).logits)

    tensors = load_file(tmp_path / "adapter_model.safetensors")
    del tensors[next(name for name in tensors if "lora_A" in name)]
    save_file(tensors, tmp_path / "adapter_model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match="the checkpoint lacks .*lora_A"):
        models.load(entry, ["cpu"])


def test_missing_adapter_is_an_error(original: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no adapter_config.json"):
        models.unavailable(entry_of(original, adapter=str(tmp_path)))


@pytest.fixture
def hub(tmp_path: Path, original: Path, monkeypatch: pytest.MonkeyPatch) -> ModelEntry:
    """A model in a hub cache after a download, without a network."""
    cache = tmp_path / "hub"
    repository = cache / "models--org--small"
    shutil.copytree(original, repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    return ModelEntry("small", "org/small", source="hub")


@pytest.mark.parametrize("revision", [None, "main", COMMIT])
def test_hub_model_is_found_in_the_cache_and_known_by_its_commit(
    revision: str | None, hub: ModelEntry
) -> None:
    entry = replace(hub, revision=revision)
    assert models.unavailable(entry) is None
    assert models.fingerprint(entry)["weights"] == COMMIT
    assert models.load(entry, ["cpu"]).device == "cpu"


def test_hub_s_own_environment_says_where_the_cache_is(hub: ModelEntry) -> None:
    program = (
        "import sys; from bench import models; from bench.records import ModelEntry\n"
        "found = models.fingerprint(ModelEntry('small', 'org/small', 'hub'))\n"
        "print(found['weights'], 'torch' in sys.modules)"
    )
    environ = os.environ | {"HF_HUB_CACHE": huggingface_hub.constants.HF_HUB_CACHE, "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", program]
    said = subprocess.run(command, env=environ, capture_output=True, text=True, cwd=ROOT)
    assert said.stdout.split() == [COMMIT, "False"], said.stderr


def test_hub_model_that_is_not_downloaded_is_skipped_with_what_to_do(hub: ModelEntry) -> None:
    reason = models.unavailable(replace(hub, path="org/other", revision="v1"))
    assert reason is not None and "hf download org/other --revision v1" in reason


def test_pickle_of_the_hub_is_skipped_with_both_ways_out(hub: ModelEntry) -> None:
    to_pickle(files.folder_of(hub))
    reason = str(models.unavailable(hub))
    assert "Give a revision with safetensors, or set allow_pickle = true" in reason


def test_unfinished_download_is_skipped(hub: ModelEntry) -> None:
    (files.folder_of(hub) / "model.safetensors").unlink()
    reason = models.unavailable(hub)
    assert reason is not None and "no model.safetensors" in reason and "hf download org/small" in reason


@pytest.mark.parametrize(
    ("gpus", "memory", "each", "said"),
    [
        pytest.param((), (), 1, "needs a GPU", id="no GPU"),
        pytest.param(("0",), (24.0,), 1, "needs 28 GB of GPU memory, but there are 24", id="too small"),
        pytest.param(("0", "1"), (24.0, 24.0), 1, "but there are 24", id="two GPUs, one a model"),
        pytest.param(("0", "1"), (24.0, 24.0), 2, None, id="two GPUs a model"),
        pytest.param(("0",), (80.0,), 1, None, id="large enough"),
        pytest.param(("0",), (), 1, None, id="memory not told"),
    ],
)
def test_model_runs_where_its_memory_is(
    gpus, memory, each: int, said: str | None, original: Path, monkeypatch
) -> None:
    monkeypatch.setattr(machine, "visible_gpus", lambda: gpus)
    monkeypatch.setattr(machine, "gpu_memory_gb", lambda gpus: memory)
    monkeypatch.setattr(machine, "find_spec", lambda name: True)
    reason = models.unavailable(entry_of(original, memory_gb=28), gpus_per_model=each)
    assert reason is None if said is None else said in str(reason)


@pytest.mark.parametrize(
    ("device", "accelerate", "quantization", "placed"),
    [
        pytest.param("cuda:1", True, None, {"device_map": {"": "cuda:1"}}, id="straight onto the card"),
        pytest.param("cuda:1", None, None, {}, id="moved afterwards without accelerate"),
        pytest.param("cuda:1", True, "8bit", {"device_map": {"": "cuda:1"}}, id="quantized"),
        pytest.param("cpu", True, None, {}, id="CPU"),
    ],
)
def test_weights_go_straight_to_the_card(device, accelerate, quantization, placed, monkeypatch) -> None:
    monkeypatch.setattr(loading, "find_spec", lambda name: accelerate)
    entry = ModelEntry("any", "folder", quantization=quantization)
    assert loading.placement(entry, [device]) == placed


def test_missing_package_is_named(original: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "visible_gpus", lambda: ("0",))
    monkeypatch.setattr(machine, "find_spec", lambda name: None)
    reason = models.unavailable(entry_of(original, quantization="8bit"))
    assert reason == "needs bitsandbytes and accelerate. Run pip install bitsandbytes accelerate."


@pytest.mark.parametrize(
    ("entry", "names"),
    [
        pytest.param(
            ModelEntry("mine", "weights/mine"), ("mine",), id="a folder has no name that servers know"
        ),
        pytest.param(ModelEntry("mine", "org/mine", "hub"), ("org/mine", "mine"), id="a hub id"),
        pytest.param(
            ModelEntry("mine", "org/mine", "hub", adapter="lora"), ("mine",), id="not the base's id"
        ),
    ],
)
def test_names_of_a_served_model(entry: ModelEntry, names: tuple[str, ...]) -> None:
    assert models.served_names(entry) == names


def test_served_model_is_known_by_what_of_it_is_here(hub: ModelEntry, original: Path) -> None:
    here, elsewhere = (
        models.served_fingerprint(hub),
        models.served_fingerprint(replace(hub, path="org/other")),
    )
    assert (here["weights"], here["served"]) == (COMMIT, ["org/small", "small"])
    assert (elsewhere["weights"], elsewhere["tokenizer"]) == (None, None)
    assert here["tokenizer"] == models.fingerprint(entry_of(original))["tokenizer"]


def test_served_model_s_files_count_where_they_are_here(folder: Path, original: Path) -> None:
    assert models.served_fingerprint(entry_of(folder)) == models.served_fingerprint(entry_of(original))
    change_tensors(folder, lambda tensors: tensors["model.norm.weight"].add_(1))
    assert models.served_fingerprint(entry_of(folder)) != models.served_fingerprint(entry_of(original))


def test_tokenizer_alone_is_enough_of_a_served_model(hub: ModelEntry) -> None:
    """The files after hf download --include without the weights."""
    (files.folder_of(hub) / "model.safetensors").unlink()
    assert models.has_tokenizer(hub)
    assert models.load_tokenizer(hub).eos_token == "</s>"
    assert models.lacks_template(replace(hub, chat=True)) is None
