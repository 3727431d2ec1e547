"""Model entry -> its files on this machine: where they are, what they are, whether they are whole."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import msgspec
from safetensors import SafetensorError, safe_open

from bench.inputs import MEGABYTE, InputError, read_json
from bench.records import ModelEntry

WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json")
GGUF, GGUF_HEADER = b"GGUF", 24  # how a file of that kind begins, and the bytes before its first key
TOKENIZER = ("*token*", "vocab.*", "merges.txt", "chat_template*")


def folder_of(entry: ModelEntry) -> Path:
    """The folder of a model: its own, that of its GGUF file, or its snapshot in the hub's cache.

    Never uses the network. Raises ValueError if it is not there.
    """
    if entry.source == "local":
        path = Path(entry.path)
        if not (path.is_file() if is_gguf(entry) else path.is_dir()):
            kind = "file" if is_gguf(entry) else "folder"
            raise InputError(f"model {entry.name}: no {kind} {entry.path}. Check path in the suite file.")
        return path.parent if is_gguf(entry) else path
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(entry.path, revision=entry.revision, local_files_only=True))
    except LocalEntryNotFoundError:
        raise InputError(f"model {entry.name}: is not downloaded. {how_to_download(entry)}") from None


def is_gguf(entry: ModelEntry) -> bool:
    """Whether weights, configuration, tokenizer and chat template are in one GGUF file."""
    return entry.source == "local" and entry.path.endswith(".gguf")


def how_to_download(entry: ModelEntry) -> str:
    revision = f" --revision {entry.revision}" if entry.revision else ""
    return (
        f"Run hf download {entry.path}{revision}; if the hub refuses, accept the licence on the model's page "
        "and log in with hf auth login."
    )


def weights_of(entry: ModelEntry) -> list[Path]:
    """The files of a model's weights, each there and whole.

    Raises ValueError for missing or cut files, and for pickled weights without allow_pickle.
    """
    folder = folder_of(entry)
    if is_gguf(entry):
        check_gguf(entry)
        return [Path(entry.path)]
    names = (*WEIGHTS, *PICKLES) if entry.allow_pickle else WEIGHTS
    first = next((folder / name for name in names if (folder / name).exists()), None)
    if first is None:
        raise InputError(no_weights(entry, folder))
    files = shards(entry, first) if first.suffix == ".json" else [first]
    for path in [folder / "config.json", *files]:
        if not path.is_file():
            raise InputError(f"model {entry.name}: {path.name} is missing in {folder}. {how_to_mend(entry)}")
    config = read_json(folder / "config.json", dict[str, Any])
    shapes = [shape for path in files if path.suffix == ".safetensors" for shape in shapes_in(entry, path)]
    check_weights_named(entry, config)
    if shapes:
        check_size(entry, config, shapes)
    return files


def num_bytes(entry: ModelEntry) -> int:
    """The size of a model's weights; 0 where they are not here."""
    try:
        return sum(path.stat().st_size for path in weights_of(entry))
    except ValueError:
        return 0


def adapter_of(entry: ModelEntry) -> list[Path]:
    """The files of a LoRA adapter, none if the model has none. Raises ValueError for missing or cut files."""
    if entry.adapter is None:
        return []
    files = [Path(entry.adapter) / name for name in ("adapter_config.json", "adapter_model.safetensors")]
    for path in files:
        if not path.is_file():
            raise InputError(
                f"model {entry.name}: no {path.name} in {entry.adapter}. Check adapter in the suite."
            )
    shapes_in(entry, files[1])
    return files


def no_weights(entry: ModelEntry, folder: Path) -> str:
    """Why a folder has no weights that may be loaded, and what to do about it."""
    if any((folder / name).exists() for name in PICKLES):
        other = "name a revision with safetensors" if entry.source == "hub" else "convert them to safetensors"
        return (
            f"model {entry.name}: {folder} has only pickled weights, and loading them can run code. "
            f"{other.capitalize()}, or set allow_pickle = true if you trust their origin."
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
    return how_to_download(entry) if entry.source == "hub" else "Copy the whole checkpoint there."


def shards(entry: ModelEntry, index: Path) -> list[Path]:
    """The files that an index of a sharded checkpoint names: safetensors, unless pickles are allowed."""
    names = sorted(set(read_json(index, Index, limit=256 * MEGABYTE).weight_map.values()))
    for name in names:
        if Path(name).name != name:
            raise InputError(f"model {entry.name}: {index} names {name!r}, which is no file beside it.")
        if not name.endswith(".safetensors") and not entry.allow_pickle:
            raise InputError(
                f"model {entry.name}: {index} names {name!r}, which is no safetensors file, and loading it "
                "can run code. Convert it, or set allow_pickle = true if you trust its origin."
            )
    return [index.parent / name for name in names]


class Index(msgspec.Struct):
    """model.safetensors.index.json: tensor -> the file that has it."""

    weight_map: Annotated[dict[str, str], msgspec.Meta(min_length=1)]


def check_weights_named(entry: ModelEntry, config: Mapping[str, object]) -> None:
    """Refuse a config.json that names weights: transformers would load those, not the files checked here."""
    if (named := config.get("transformers_weights")) is not None:
        raise InputError(
            f"model {entry.name}: config.json names its weights itself (transformers_weights: {named!r}). "
            f"Take that out, and call them {WEIGHTS[0]}."
        )


def shapes_in(entry: ModelEntry, path: Path) -> list[list[int]]:
    """The shapes of a file's tensors. Opening it compares them with the file's size: a cut one is refused."""
    try:
        with safe_open(path, framework="numpy") as weights:
            return [weights.get_slice(name).get_shape() for name in weights.keys()]  # noqa: SIM118
    except SafetensorError as error:
        raise InputError(f"model {entry.name}: {path} is damaged ({error}). {how_to_mend(entry)}") from None


def check_size(entry: ModelEntry, config: Mapping[str, Any], shapes: Sequence[Sequence[int]]) -> None:
    """Refuse a config.json that is far too large for its weights: making that model would never end."""
    largest = max((max(shape, default=1) for shape in shapes), default=1)
    bounds = {"num_hidden_layers": len(shapes), "n_layer": len(shapes)}
    bounds |= dict.fromkeys(("vocab_size", "hidden_size", "intermediate_size", "n_embd"), 16 * largest)
    nested = config.get("text_config")
    for table in (config, nested if isinstance(nested, dict) else {}):
        for name, most in bounds.items():
            if isinstance(table.get(name), int) and table[name] > most:
                raise InputError(
                    f"model {entry.name}: config.json says {name} is above {most}, but the weights have "
                    f"{len(shapes)} tensors of at most {largest} rows. {how_to_mend(entry)}"
                )


def check_gguf(entry: ModelEntry) -> None:
    """Raises ValueError for a file that is no GGUF, and for what cannot be done with one."""
    with open(entry.path, "rb") as file:
        header = file.read(GGUF_HEADER)
    if not header.startswith(GGUF) or len(header) < GGUF_HEADER:
        raise InputError(f"model {entry.name}: {entry.path} is no GGUF file. Copy or convert it again.")
    if entry.quantization:
        raise InputError(
            f"model {entry.name}: a GGUF file is loaded in full precision, so quantization = "
            f'"{entry.quantization}" cannot be had. Take it out, or give a folder with safetensors.'
        )


def weights_digest(entry: ModelEntry) -> str:
    """A hub model's commit, after which its cache names a snapshot; of a folder, what its files hold."""
    folder = folder_of(entry)
    if entry.source == "hub":
        return folder.name
    if is_gguf(entry):
        return files_digest(weights_of(entry))
    code = sorted(folder.glob("*.py")) if entry.trust_remote_code else []
    return files_digest([folder / "config.json", *weights_of(entry), *code])


def tokenizer_digest(entry: ModelEntry) -> str:
    return files_digest(tokenizer_files(entry))


def tokenizer_files(entry: ModelEntry) -> list[Path]:
    """The files of a model's tokenizer: a GGUF file has it in itself."""
    folder = folder_of(entry)
    if is_gguf(entry):
        return [Path(entry.path)]
    files = sorted({path for pattern in TOKENIZER for path in folder.glob(pattern)})
    if strange := [path for path in files if not path.is_file()]:
        raise InputError(f"{strange[0]} is not a file. Take it out.")
    return files


def files_digest(files: Iterable[Path]) -> str:
    """sha256 over names and contents."""
    stats = [(path, path.stat()) for path in files]
    named = [(path.name, file_digest(path, stat.st_size, stat.st_mtime_ns)) for path, stat in stats]
    return hashlib.sha256(json.dumps(named).encode()).hexdigest()


@cache
def file_digest(path: Path, size: int, mtime_ns: int) -> str:
    """sha256 of a file, read once in a process as long as it stays as it is."""
    with path.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()
