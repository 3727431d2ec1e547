"""Model -> defaults for its device, the account of costs, and the measurements and checks of every engine.

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
    tokens in a tree of clauses, whose masks are larger. The cost of a forward pass, in tokens, is the number
    of its tokens, plus pass_weights for reading the weights, plus layer_starts per layer and million
    parameters for starting each layer. tree_passes: the cost of a pass over a tree, with its masks and
    drafts, in passes of the reference.
    """

    batch_size: int
    pack_tokens: int
    choice_tokens: int
    pass_weights: float
    layer_starts: float
    tree_passes: float


PATIENCE = 8_000.0  # tokens that drafts may lose before they must pay
LOGIT_BYTES = 2**30  # the largest block of logits of one pass
DEVICES = {
    "cpu": Device(16, 4800, 1200, pass_weights=24, layer_starts=40, tree_passes=3),  # measured
    "cuda": Device(64, 4800, 4800, pass_weights=300, layer_starts=90_000, tree_passes=1),  # not yet measured
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


class Costs:
    """Learns how often the model refuses a drafted token, and compares costs with the reference engine.

    balance: tokens saved so far. Below zero, drafts cost more than they save.
    """

    def __init__(self, model: Any) -> None:
        layers = model.config.get_text_config().num_hidden_layers
        millions = sum(weights.numel() for weights in model.parameters()) / 1e6
        self.device = device_of(model)
        self.pass_tokens = self.device.pass_weights + self.device.layer_starts * layers / millions
        self.accepted, self.refused = 19, 1  # initial estimate: one in twenty is refused
        self.balance = PATIENCE

    def learn(self, drafted: int, accepted: int) -> None:
        self.accepted += accepted
        self.refused += accepted < drafted

    def draft_length(self, branches: int) -> int:
        """The length that writes the most tokens for the cost of a pass that branches share.

        Let k be the chance that a token is accepted, and c the cost of a pass in tokens. A draft of length L
        writes 1 + k + ... + k^L tokens, one of them the model's own, for a cost of 1 + L + c / branches. The
        ratio rises up to the best L and falls after it.
        """
        accepted = self.accepted / (self.refused + self.accepted)
        length, written, cost = 1, 1 + accepted, 2 + self.pass_tokens / branches
        while accepted ** (length + 1) * cost > written:  # one more token pays more than the average
            length += 1
            written += accepted**length
            cost += 1
        return length

    def spend(self, tokens: int) -> None:
        """Count one forward pass over a tree with this number of tokens."""
        self.balance -= tokens + self.device.tree_passes * self.pass_tokens

    def save(self, prompt_tokens: int, written: int) -> None:
        """Count the reference engine's cost: each token once, and its share of the passes."""
        self.balance += prompt_tokens + written * (1 + self.pass_tokens / self.device.batch_size)


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
