"""Hidden states -> logits of the tokens that can be chosen: the output layer in part, where few are allowed.

With a large vocabulary the output layer is much of a small model (a quarter at 110M parameters and 32,000
tokens), and within "Box 3 contains" or "and the" an automaton allows some dozens of tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WORTH = 16  # whole output layers are this many times larger, or left whole


@contextmanager
def narrowed(model: Any, narrow: Tensor, tokens: Tensor) -> Iterator[None]:
    """In some rows compute the logits of some tokens alone; those of all others are very low there.

    narrow: (N,) bool, for the rows that logits are asked for. tokens: (F,) ids. Layers that are not plain
    matrices, or that something else has wrapped, are left as they are.
    """
    layer = model.get_output_embeddings()
    if type(layer) is not nn.Linear or "forward" in vars(layer) or layer.out_features < WORTH * len(tokens):
        yield
        return
    whole = layer.forward

    def forward(input: Tensor) -> Tensor:  # (1, N, D) -> (1, N, V)
        logits = input.new_full((*input.shape[:-1], layer.out_features), torch.finfo(input.dtype).min / 2)
        logits[:, ~narrow] = whole(input[:, ~narrow])
        bias = None if layer.bias is None else layer.bias[tokens]
        logits[:, narrow.nonzero(), tokens] = F.linear(input[:, narrow], layer.weight[tokens], bias)
        return logits

    layer.forward = forward  # type: ignore[method-assign]
    try:
        yield
    finally:
        del layer.forward
