"""Model entry -> whether this machine can run the model or a server has it, and its fingerprint.

torch is not imported.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

from bench.models.files import adapter_of, files_digest, is_gguf, tokenizer_files, weights_digest, weights_of
from bench.records import ModelEntry

Found = TypeVar("Found")
GPU_DRIVER = Path("/proc/driver/nvidia/gpus")


def unavailable(entry: ModelEntry, gpus_per_model: int = 1) -> str | None:
    """The reason why this machine cannot run the model, and what to do; None if it can.

    Raises ValueError for a mistake in the suite: a local folder that is missing or damaged.
    """
    if entry.source == "local":
        weights_of(entry)
    adapter_of(entry)
    reason = lacks_gpu(entry, gpus_per_model) or lacks_package(entry, gpus_per_model)
    if reason or entry.source == "local":
        return reason
    try:
        weights_of(entry)
    except ValueError as error:
        return str(error).removeprefix(f"model {entry.name}: ")
    return None


def lacks_gpu(entry: ModelEntry, gpus_per_model: int) -> str | None:
    """The reason if GPUs or GPU memory are missing. A model with memory_gb needs a GPU."""
    gpus = visible_gpus()
    if not gpus and (entry.memory_gb or entry.quantization):
        return "needs a GPU, but none is visible. Run it on a machine with a GPU."
    found = sum(sorted(gpu_memory_gb(gpus))[:gpus_per_model])
    if entry.memory_gb and 0 < found < entry.memory_gb:
        return (
            f"needs {entry.memory_gb:.0f} GB of GPU memory, but there are {found:.0f} GB. "
            "Give it more GPUs with --boxes-gpus-per-worker, or fewer bits with quantization in the suite."
        )
    return None


def lacks_package(entry: ModelEntry, gpus_per_model: int) -> str | None:
    needed = {
        "bitsandbytes": entry.quantization is not None,
        "accelerate": entry.quantization or is_gguf(entry) or (entry.memory_gb and gpus_per_model > 1),
        "peft": entry.adapter is not None,
        "gguf": is_gguf(entry),
    }
    missing = [name for name, wanted in needed.items() if wanted and find_spec(name) is None]
    return f"needs {' and '.join(missing)}. Run pip install {' '.join(missing)}." if missing else None


def fingerprint(entry: ModelEntry) -> dict[str, object]:
    """Everything in a model that determines its answers. Raises ValueError if its files are missing."""
    return {
        "weights": weights_digest(entry),
        "adapter": files_digest(adapter_of(entry)) if entry.adapter else None,
        "dtype": dtype_of(entry, on_gpu=bool(visible_gpus())),
        "quantization": entry.quantization,
        "tokenizer": files_digest(tokenizer_files(entry)),
        "chat": entry.chat,
    }


def served_names(entry: ModelEntry) -> tuple[str, ...]:
    """The ids under which a server may have the model. With an adapter, the hub id is a different model."""
    return (entry.path, entry.name) if entry.source == "hub" and not entry.adapter else (entry.name,)


def served_fingerprint(entry: ModelEntry) -> dict[str, object]:
    """All facts known on this machine about a model that runs on a server.

    We cannot see the server's precision and quantization. So each build of a model needs its own name.
    """
    return {
        "served": list(served_names(entry)),
        "revision": entry.revision,
        "weights": if_here(weights_digest, entry),
        "tokenizer": files_digest(tokenizer_files(entry)) if has_tokenizer(entry) else None,
        "chat": entry.chat,
    }


def lacks_template(entry: ModelEntry) -> str | None:
    """The reason why a chat model cannot be asked. This machine, not the server, renders its turns."""
    if not entry.chat or has_tokenizer(entry):
        return None
    get = f'Run hf download {entry.path} --include "*token*" "chat_template*" "config.json".'
    put = f"Copy tokenizer and config.json into {entry.path}."
    return f"a chat model's tokenizer must be on this machine. {get if entry.source == 'hub' else put}"


def has_tokenizer(entry: ModelEntry) -> bool:
    return bool(if_here(tokenizer_files, entry))


def num_bytes(entry: ModelEntry) -> int:
    """The size of a model's weights in bytes; 0 if they are not on this machine."""
    return sum(path.stat().st_size for path in if_here(weights_of, entry) or ())


def if_here(find: Callable[[ModelEntry], Found], entry: ModelEntry) -> Found | None:
    try:
        return find(entry)
    except ValueError:
        return None


def dtype_of(entry: ModelEntry, on_gpu: bool) -> str:
    if entry.dtype != "auto":
        return entry.dtype
    return "bfloat16" if on_gpu else "float32"


def visible_gpus(environ: Mapping[str, str] = os.environ, driver: Path = GPU_DRIVER) -> tuple[str, ...]:
    """Names of the usable GPUs, without importing torch: those in CUDA_VISIBLE_DEVICES, or all."""
    given = environ.get("CUDA_VISIBLE_DEVICES")
    if given is None:
        return tuple(str(index) for index in range(len(list(driver.iterdir())) if driver.is_dir() else 0))
    names = [name.strip() for name in given.split(",")]
    end = next((i for i, name in enumerate(names) if name in ("", "-1")), len(names))  # as CUDA reads it
    return tuple(names[:end])


@cache
def gpu_memory_gb(gpus: tuple[str, ...]) -> tuple[float, ...]:
    """Memory of each GPU in GB; empty if the driver's tool does not report it."""
    if not gpus:
        return ()
    query = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits", "-i", ",".join(gpus)]
    try:
        told = subprocess.run(query, capture_output=True, text=True, timeout=30, check=True).stdout
        return tuple(float(mebibytes) * 2**20 / 1e9 for mebibytes in told.split())
    except (OSError, subprocess.SubprocessError, ValueError):
        return ()
