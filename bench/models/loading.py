"""Model entry, devices -> model and tokenizer in memory. Every tensor comes from the checkpoint."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.inputs import InputError, read_json
from bench.models.files import folder_of, is_gguf, weights_of
from bench.models.machine import dtype_of
from bench.records import ModelEntry


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model of transformers and its tokenizer, ready for inference."""

    model: Any
    tokenizer: Any
    device: str
    dtype: str


def load(entry: ModelEntry, devices: Sequence[str], tokenizer: Any | None = None) -> LoadedModel:
    """Load a model onto ["cpu"], one GPU, or several GPUs. It never uses the network.

    tokenizer: the model's tokenizer, if already loaded, because loading a large one takes seconds.
    Raises ValueError for files that are missing, damaged or do not fill the model.
    """
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # a line per shard would break our own progress bar
    if is_gguf(entry):
        silence_gguf()
    dtype = dtype_of(entry, on_gpu=devices[0] != "cpu")
    model, info = read(
        entry,
        AutoModelForCausalLM.from_pretrained,
        dtype=getattr(torch, dtype),
        use_safetensors=weights_of(entry)[0].suffix != ".bin",
        output_loading_info=True,
        ignore_mismatched_sizes=True,  # mismatched tensors are refused by name below
        quantization_config=quantization_of(entry, dtype),
        **placement(entry, devices),
    )
    check_filled(entry, info["missing_keys"], info["mismatched_keys"])
    check_read(entry, info["unexpected_keys"])
    if len(devices) == 1 and not entry.quantization:
        model.to(devices[0])
    if entry.adapter:
        try:
            adapted = model.load_adapter(entry.adapter)
        except Exception as error:  # peft, too, raises many kinds of errors
            raise InputError(f"model {entry.name}: peft cannot load {entry.adapter}: {error}") from error
        check_filled(entry, adapted.missing_keys, adapted.mismatched_keys)
    return LoadedModel(model.eval(), tokenizer or load_tokenizer(entry), ", ".join(devices), dtype)


def silence_gguf() -> None:
    """transformers has no switch for the bar that it draws for a GGUF file."""
    from tqdm.auto import tqdm
    from transformers import modeling_gguf_pytorch_utils

    vars(modeling_gguf_pytorch_utils)["tqdm"] = partial(tqdm, disable=True)


def load_tokenizer(entry: ModelEntry) -> Any:
    """The tokenizer alone, padding on the left. Raises ValueError if it is missing."""
    from transformers import AutoTokenizer

    tokenizer = read(entry, AutoTokenizer.from_pretrained)
    if tokenizer.eos_token_id is None:
        raise InputError(
            f"model {entry.name}: its tokenizer has no EOS, so an answer cannot end. Set eos_token in "
            "tokenizer_config.json."
        )
    return padded_left(tokenizer)


def padded_left(tokenizer: Any) -> Any:
    """Make the tokenizer pad on the left, with EOS. Returns the same object.

    Padding is masked, but the tokenizer's own padding token may lie beyond the model's embeddings.
    """
    tokenizer.padding_side = "left"
    tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def read(entry: ModelEntry, from_pretrained: Callable[..., Any], **settings: object) -> Any:
    """Load a part of a model with transformers. Raises ValueError with one line if that fails."""
    folder = place = folder_of(entry)
    if is_gguf(entry):
        place = Path(entry.path)
        settings["gguf_file"] = place.name
    try:
        return from_pretrained(
            folder, trust_remote_code=entry.trust_remote_code, local_files_only=True, **settings
        )
    except Exception as error:  # transformers raises many kinds of errors for damaged files
        kind = "" if isinstance(error, OSError | ValueError | ImportError) else f"{type(error).__name__}: "
        raise InputError(f"model {entry.name}: transformers cannot load {place}: {kind}{error}") from error


def load_config(entry: ModelEntry) -> dict[str, Any]:
    """The contents of config.json. Raises ValueError if it is missing."""
    if not is_gguf(entry):
        return read_json(folder_of(entry) / "config.json", dict[str, Any])
    from transformers import AutoConfig

    return read(entry, AutoConfig.from_pretrained).get_text_config().to_dict()


def placement(entry: ModelEntry, devices: Sequence[str]) -> dict[str, object]:
    """Arguments that tell transformers where to put the weights. If empty, the model is moved after loading.

    With accelerate, weights go directly to the card, so a 34B model does not need 68 GB of main memory.
    """
    import torch

    if len(devices) > 1:
        indices = [int(device.removeprefix("cuda:")) for device in devices]
        return {
            "device_map": "auto",
            "max_memory": {index: torch.cuda.mem_get_info(index)[0] for index in indices},
        }
    straight = devices[0] != "cpu" and find_spec("accelerate") is not None
    return {"device_map": {"": devices[0]}} if straight or entry.quantization else {}


def quantization_of(entry: ModelEntry, dtype: str) -> object | None:
    if entry.quantization is None:
        return None
    from transformers import BitsAndBytesConfig

    if entry.quantization == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype)


def check_read(entry: ModelEntry, unexpected: Collection[str]) -> None:
    """Refuse a checkpoint with layers that config.json leaves out. The model would answer without them."""
    if skipped := sorted(name for name in unexpected if re.search(r"\b(layers|h|blocks)\.\d+\.", name)):
        raise InputError(
            f"model {entry.name}: config.json has no place for {skipped[0]} and {len(skipped) - 1} more "
            "tensors of the checkpoint. Copy or download it again, or check that config.json belongs to it."
        )


def check_filled(entry: ModelEntry, missing: Collection[str], mismatched: Collection[tuple]) -> None:
    """Refuse a checkpoint that lacks a tensor. The model would still answer with a random tensor."""
    wrong = {"lacks": sorted(missing), "has the wrong shape for": sorted(str(key[0]) for key in mismatched)}
    for words, names in wrong.items():
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            raise InputError(
                f"model {entry.name}: the checkpoint {words} {', '.join(names[:3])}{more}. "
                "Copy or download it again, or check that config.json belongs to it."
            )
