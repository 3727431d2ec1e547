"""Checks and measurements that every engine makes as it runs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

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


def check_finite(logits: torch.Tensor) -> None:
    """Raises FloatingPointError for logits that are not finite.

    Constrained decoding would turn NaN logits into a plausible answer.
    """
    extremes = torch.stack(torch.aminmax(logits))  # NaN if any is; 20 times faster than isfinite
    if not torch.isfinite(extremes).all():
        raise FloatingPointError(
            "the model returned logits that are not finite, so its answers would mean nothing. "
            "Check the checkpoint, or load it in another dtype (float32 or bfloat16 for float16)."
        )
