"""The GPUs of this machine: their names and memory, without importing torch."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path

GPU_DRIVER = Path("/proc/driver/nvidia/gpus")


def visible_gpus(environ: Mapping[str, str] = os.environ, driver: Path = GPU_DRIVER) -> tuple[str, ...]:
    """Names of the GPUs that the caller may use, without importing torch: CUDA_VISIBLE_DEVICES, or all."""
    given = environ.get("CUDA_VISIBLE_DEVICES")
    if given is None:
        return tuple(str(index) for index in range(len(list(driver.iterdir())) if driver.is_dir() else 0))
    names = [name.strip() for name in given.split(",")]
    end = next((i for i, name in enumerate(names) if name in ("", "-1")), len(names))  # as CUDA reads it
    return tuple(names[:end])


@cache
def gpu_memory_gb(gpus: tuple[str, ...]) -> tuple[float, ...]:
    """Memory of each GPU; empty where the driver's tool does not tell."""
    if not gpus:
        return ()
    query = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits", "-i", ",".join(gpus)]
    try:
        told = subprocess.run(query, capture_output=True, text=True, timeout=30, check=True).stdout
        return tuple(float(mebibytes) * 2**20 / 1e9 for mebibytes in told.split())
    except (OSError, subprocess.SubprocessError, ValueError):
        return ()
