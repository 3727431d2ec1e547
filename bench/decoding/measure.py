"""What engines measure as they run: seconds, memory, logits that are not numbers."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from bench.records import Counters


@contextmanager
def clock(counters: Counters, field: str) -> Iterator[None]:
    """Add the seconds spent inside to one of the counters."""
    start = time.perf_counter()
    try:
        yield
    finally:
        setattr(counters, field, getattr(counters, field) + time.perf_counter() - start)


def device_kind(model: Any) -> str:
    """ "cpu" or "cuda": which figures hold for the device of a model."""
    return "cpu" if model.device.type == "cpu" else "cuda"


def peak_bytes(device: torch.device) -> int:
    """The most memory in use so far: the device's, or on a CPU the process's."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def check_finite(logits: torch.Tensor) -> None:
    """Raises FloatingPointError for logits that are not finite: under a constraint they still answer."""
    extremes = torch.stack(torch.aminmax(logits))  # NaN if any is; takes a twentieth of asking each
    if not torch.isfinite(extremes).all():
        raise FloatingPointError(
            "the model returned logits that are not finite, so its answers would mean nothing. "
            "Check the checkpoint, or load it in another dtype (float32 or bfloat16 for float16)."
        )
