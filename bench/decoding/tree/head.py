"""Hidden states -> logits of the tokens that can be chosen: part of the output layer where few are allowed.

With a large vocabulary the output layer is much of a small model: a quarter at 110M parameters and 32,000
tokens. Within "Box 3 contains" or "and the" the automaton allows only some dozens of tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WORTH = 16  # cut an output layer only if it is this many times larger than the part


class NarrowHead(nn.Module):
    """An output layer that computes only some tokens' logits in some rows; all others are very low there."""

    def __init__(self, layer: nn.Linear, narrow: Tensor, tokens: Tensor) -> None:
        super().__init__()
        self.layer, self.narrow, self.tokens = layer, narrow, tokens

    def forward(self, hidden: Tensor) -> Tensor:
        """(1, N, D) -> (1, N, V)"""
        layer, narrow, tokens = self.layer, self.narrow, self.tokens
        low = torch.finfo(hidden.dtype).min / 2
        logits = hidden.new_full((*hidden.shape[:-1], layer.out_features), low)
        logits[:, ~narrow] = layer(hidden[:, ~narrow])
        bias = None if layer.bias is None else layer.bias[tokens]
        logits[:, narrow.nonzero(), tokens] = F.linear(hidden[:, narrow], layer.weight[tokens], bias)
        return logits


@contextmanager
def narrowed(model: Any, narrow: Tensor, tokens: Tensor) -> Iterator[None]:
    """Compute only these tokens' logits in the narrow rows.

    narrow: (N,) bool, over the rows whose logits are asked for. tokens: (F,) ids. A layer that is not a plain
    matrix, or that another library has wrapped, is left as it is.
    """
    layer = model.get_output_embeddings()
    if type(layer) is not nn.Linear or "forward" in vars(layer) or layer.out_features < WORTH * len(tokens):
        yield
        return
    model.set_output_embeddings(NarrowHead(layer, narrow, tokens))
    try:
        yield
    finally:
        model.set_output_embeddings(layer)
