"""Model -> defaults for its device, and the measurements and checks of every engine.

Everything that differs between a CPU and a GPU is in this module.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from bench.inputs import InputError, shortened
from bench.records import Counters


@dataclass(frozen=True, slots=True)
class Device:
    """Defaults for one kind of device.

    batch_size: prompts in a batch of the reference engine. pack_tokens: tokens in a tree. choice_tokens:
    tokens in a tree of clauses, whose masks are larger. logit_bytes: the largest block of logits of one pass.
    The cost of a forward pass, in tokens, is the number of its tokens, plus pass_weights for reading the
    weights, plus layer_starts per layer and million parameters for starting each layer. tree_passes: the cost
    of a pass over a tree, with its masks and drafts, in passes of the reference.
    """

    batch_size: int
    pack_tokens: int
    choice_tokens: int
    logit_bytes: int
    pass_weights: float
    layer_starts: float
    tree_passes: float


DEVICES = {
    "cpu": Device(16, 4800, 1200, 2**30, pass_weights=24, layer_starts=40, tree_passes=3),  # measured
    "cuda": Device(
        64, 4800, 4800, 2**30, pass_weights=300, layer_starts=90_000, tree_passes=1
    ),  # not yet measured
}


def usable(device: str) -> str:
    """The name of a device of torch that is here. Raises InputError."""
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        why = str(error).partition("\n")[0].rstrip(".")
        raise InputError(
            f"no device {shortened(device)!r} here: {why}. Choose cpu, or cuda for a GPU."
        ) from None
    return device


def device_of(model: Any) -> Device:
    """The defaults for the device of a model."""
    return DEVICES["cpu" if model.device.type == "cpu" else "cuda"]


def peak_bytes(device: torch.device) -> int:
    """Peak memory so far: of the device, or of the process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


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
            "the model returned logits that are not finite, so its answers would be meaningless. "
            "Check the checkpoint, or load it in another dtype (float32 or bfloat16 instead of float16)."
        )
