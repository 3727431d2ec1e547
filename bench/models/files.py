"""Model entry -> its files on this machine, their digests, and whether they are complete."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import msgspec
from safetensors import SafetensorError, safe_open

from bench.inputs import MEGABYTE, InputError, read_json, shortened
from bench.records import ModelEntry

LONGEST_FILE_NAME = 255  # bytes, on every common file system
WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json")
GGUF, GGUF_HEADER = b"GGUF", 24  # first bytes of a GGUF file; bytes before its first key
TOKENIZER = ("*token*", "vocab.*", "merges.txt", "chat_template*")


def folder_of(entry: ModelEntry) -> Path:
    """The folder of a model: a local folder, the folder of its GGUF file, or its snapshot in the hub's cache.

    It never uses the network. Raises ValueError if the folder is missing.
    """
    if entry.source == "local":
        path = Path(entry.path)
        if not (path.is_file() if is_gguf(entry) else path.is_dir()):
            kind = "file" if is_gguf(entry) else "folder"
            raise InputError(f"model {entry.name}: no {kind} {entry.path}. Check path in the suite file.")
        return readable(entry, path.parent if is_gguf(entry) else path)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(entry.path, revision=entry.revision, local_files_only=True))
    except LocalEntryNotFoundError:
        raise InputError(f"model {entry.name}: is not downloaded. {how_to_download(entry)}") from None


def readable(entry: ModelEntry, path: Path) -> Path:
    """A file, or a folder, that this user may read. Raises InputError."""
    if not os.access(path, os.R_OK | (os.X_OK if path.is_dir() else 0)):
        raise InputError(f"model {entry.name}: {path} may not be read by this user. Change its permissions.")
    return path


def is_gguf(entry: ModelEntry) -> bool:
    """Whether weights, configuration, tokenizer and chat template are in one GGUF file."""
    return entry.source == "local" and entry.path.endswith(".gguf")


def how_to_download(entry: ModelEntry) -> str:
    revision = f" --revision {entry.revision}" if entry.revision else ""
    return (
        f"Run hf download {entry.path}{revision}. If the hub refuses, accept the licence on the model's page "
        "and log in with hf auth login."
    )


def weights_of(entry: ModelEntry) -> list[Path]:
    """The files of a model's weights, after a check that each is complete.

    Raises ValueError for missing or truncated files, and for pickled weights without allow_pickle.
    """
    folder = folder_of(entry)
    if is_gguf(entry):
        check_gguf(entry)
        return [readable(entry, Path(entry.path))]
    names = (*WEIGHTS, *PICKLES) if entry.allow_pickle else WEIGHTS
    first = next((folder / name for name in names if (folder / name).exists()), None)
    if first is None:
        raise InputError(no_weights(entry, folder))
    files = shards(entry, first) if first.suffix == ".json" else [first]
    for path in [folder / "config.json", *files]:
        if not path.is_file():
            raise InputError(f"model {entry.name}: {path.name} is missing in {folder}. {how_to_mend(entry)}")
        readable(entry, path)
    config = read_json(folder / "config.json", dict[str, Any])
    shapes = [shape for path in files if path.suffix == ".safetensors" for shape in shapes_in(entry, path)]
    if (named := config.get("transformers_weights")) is not None:  # transformers would load these instead
        raise InputError(
            f"model {entry.name}: config.json names its weights (transformers_weights: {named!r}). "
            f"Remove this key, and name the file {WEIGHTS[0]}."
        )
    if shapes:
        check_size(entry, config, shapes)
    return files


def adapter_of(entry: ModelEntry) -> list[Path]:
    """The files of a LoRA adapter, if the model has one. Raises ValueError for missing or truncated files."""
    if entry.adapter is None:
        return []
    files = [Path(entry.adapter) / name for name in ("adapter_config.json", "adapter_model.safetensors")]
    for path in files:
        if not path.is_file():
            raise InputError(
                f"model {entry.name}: no {path.name} in {entry.adapter}. Check adapter in the suite."
            )
        readable(entry, path)
    shapes_in(entry, files[1])
    return files


def no_weights(entry: ModelEntry, folder: Path) -> str:
    """The reason why a folder has no loadable weights, and what to do."""
    if any((folder / name).exists() for name in PICKLES):
        other = "give a revision with safetensors" if entry.source == "hub" else "convert them to safetensors"
        return (
            f"model {entry.name}: {folder} has only pickled weights, and loading them can run code. "
            f"{other.capitalize()}, or set allow_pickle = true if you trust their source."
        )
    if (folder / "adapter_config.json").exists():
        return (
            f"model {entry.name}: {folder} is an adapter (LoRA) without its model. "
            'Give the model as path or hub, and this folder as adapter = "...".'
        )
    if files := sorted(folder.glob("*.gguf")):
        return f'model {entry.name}: {folder} has a GGUF file. Give the file: path = ".../{files[0].name}".'
    return f"model {entry.name}: no {WEIGHTS[0]} in {folder}. {how_to_mend(entry)}"


def how_to_mend(entry: ModelEntry) -> str:
    return how_to_download(entry) if entry.source == "hub" else "Copy the complete checkpoint there."


def shards(entry: ModelEntry, index: Path) -> list[Path]:
    """The files in the index of a sharded checkpoint. They are safetensors unless allow_pickle is set."""
    names = sorted(set(read_json(index, Index, limit=256 * MEGABYTE).weight_map.values()))
    for name in names:
        if Path(name).name != name or len(name.encode()) > LONGEST_FILE_NAME:
            shown = shortened(name)
            raise InputError(f"model {entry.name}: {index} names {shown!r}, which is not in its folder.")
        if not name.endswith(".safetensors") and not entry.allow_pickle:
            raise InputError(
                f"model {entry.name}: {index} names {name!r}, which is not a safetensors file. Loading it "
                "can run code. Convert it, or set allow_pickle = true if you trust its source."
            )
    return [index.parent / name for name in names]


class Index(msgspec.Struct):
    """model.safetensors.index.json: tensor -> its file."""

    weight_map: Annotated[dict[str, str], msgspec.Meta(min_length=1)]


def shapes_in(entry: ModelEntry, path: Path) -> list[list[int]]:
    """The shapes of a file's tensors. A truncated file is refused."""
    try:
        with safe_open(path, framework="numpy") as weights:
            return [weights.get_slice(name).get_shape() for name in weights.keys()]  # noqa: SIM118
    except SafetensorError as error:
        raise InputError(f"model {entry.name}: {path} is damaged ({error}). {how_to_mend(entry)}") from None


def check_size(entry: ModelEntry, config: Mapping[str, Any], shapes: Sequence[Sequence[int]]) -> None:
    """Refuse a config.json that is far too large for its weights. Creating such a model would never end."""
    largest = max((max(shape, default=1) for shape in shapes), default=1)
    bounds = {"num_hidden_layers": len(shapes), "n_layer": len(shapes)}
    bounds |= dict.fromkeys(("vocab_size", "hidden_size", "intermediate_size", "n_embd"), 16 * largest)
    nested = config.get("text_config")
    for table in (config, nested if isinstance(nested, dict) else {}):
        for name, most in bounds.items():
            if isinstance(table.get(name), int) and table[name] > most:
                raise InputError(
                    f"model {entry.name}: config.json: {name} is above {most}, but the weights have "
                    f"{len(shapes)} tensors of at most {largest} rows. {how_to_mend(entry)}"
                )


def check_gguf(entry: ModelEntry) -> None:
    """Raises ValueError for a file that is not GGUF, and for settings that GGUF does not support."""
    with open(entry.path, "rb") as file:
        header = file.read(GGUF_HEADER)
    if not header.startswith(GGUF) or len(header) < GGUF_HEADER:
        raise InputError(f"model {entry.name}: {entry.path} is not a GGUF file. Copy or convert it again.")
    if entry.quantization:
        raise InputError(
            f"model {entry.name}: a GGUF file is loaded in full precision, so quantization = "
            f'"{entry.quantization}" is impossible. Remove it, or give a folder with safetensors.'
        )


def weights_digest(entry: ModelEntry) -> str:
    """The commit of a hub model, which is the name of its snapshot, or a digest of a folder's files."""
    folder = folder_of(entry)
    if entry.source == "hub":
        return folder.name
    if is_gguf(entry):
        return files_digest(weights_of(entry))
    code = sorted(folder.glob("*.py")) if entry.trust_remote_code else []
    return files_digest([folder / "config.json", *weights_of(entry), *code])


def tokenizer_files(entry: ModelEntry) -> list[Path]:
    """The files of a model's tokenizer. A GGUF file contains its tokenizer."""
    folder = folder_of(entry)
    if is_gguf(entry):
        return [Path(entry.path)]
    files = sorted({path for pattern in TOKENIZER for path in folder.glob(pattern)})
    if strange := [path for path in files if not path.is_file()]:
        raise InputError(f"{strange[0]} is not a regular file. Remove it.")
    return [readable(entry, path) for path in files]


def files_digest(files: Iterable[Path]) -> str:
    """sha256 over names and contents."""
    stats = [(path, path.stat()) for path in files]
    named = [(path.name, file_digest(path, stat.st_size, stat.st_mtime_ns)) for path, stat in stats]
    return hashlib.sha256(json.dumps(named).encode()).hexdigest()


@cache
def file_digest(path: Path, size: int, mtime_ns: int) -> str:
    """sha256 of a file. A process reads the file once, unless its size or time changes."""
    with path.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()
