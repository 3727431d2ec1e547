"""A forward pass over a tree that skips most masked query-key pairs and most unneeded logits.

New tokens attend in blocks. A block reads only the columns that at least one of its tokens sees. On a CPU,
all tokens attend once to the prefix that every prompt shares. The log-normalisers join the two results.
Source of the joining: FlashAttention, Dao et al. (2022), arXiv:2205.14135.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward

NAME = "boxes_tree"  # our attention, in the registry of transformers
WORTH = 16  # compute a part of an output layer only if the layer is this many times larger
COPY_ROWS = 24  # copying a column costs as much as this many tokens that attend to it
# The CPU kernel that also returns the log-normaliser has no public name in torch 2.11 to 2.14. Without it
# the prefix is read once per block.
CPU_KERNEL = getattr(torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu", None)

Block = tuple[slice, np.ndarray]  # rows of new tokens; the columns that at least one of them sees


@dataclass(frozen=True, slots=True)
class Blocks:
    """The blocks of one pass. prefix: number of columns that all new tokens see and no block reads."""

    blocks: Sequence[Block]
    prefix: int = 0
    cuts: dict[tuple[int, str], list[tuple[slice, Tensor, Tensor]]] = field(default_factory=dict)

    def cut(self, mask: Tensor) -> list[tuple[slice, Tensor, Tensor]]:
        """Rows, columns and mask of each block on the mask's device. All layers of a pass share them.

        mask: (1, 1, new tokens, columns)
        """
        key = (mask.data_ptr(), str(mask.device))
        if key not in self.cuts:
            columns = [torch.from_numpy(columns).to(mask.device) for _, columns in self.blocks]
            self.cuts[key] = [
                (rows, where, mask[:, :, rows].index_select(3, where))
                for (rows, _), where in zip(self.blocks, columns, strict=True)
            ]
        return self.cuts[key]


CURRENT: ContextVar[Blocks] = ContextVar("how the running pass attends")


def prefix_of(seen: np.ndarray, old: int) -> int:
    """The number of leading columns that every segment sees, at most `old`. seen: (segments, columns) bool"""
    return int(np.append(seen[:, :old].all(axis=0), False).argmin())


def blocks_of(seen: np.ndarray, lengths: Sequence[int], prefix: int) -> list[Block]:
    """Join neighbouring segments into a block if it costs less than two blocks.

    seen: (segments, columns) bool, what the last token of each segment sees. lengths: tokens per segment.
    """
    found: list[tuple[slice, np.ndarray]] = []
    end = 0
    for row, length in zip(seen[:, prefix:], lengths, strict=True):
        start, end = end, end + length
        if found:
            rows, before = found[-1]
            both = before | row
            apart = cost(rows, before) + cost(slice(start, end), row)
            if cost(slice(rows.start, end), both) <= apart:
                found[-1] = (slice(rows.start, end), both)
                continue
        found.append((slice(start, end), row))
    return [(rows, prefix + np.flatnonzero(columns)) for rows, columns in found]


def cost(rows: slice, columns: np.ndarray) -> int:
    """The attention of a block, in query-key pairs. columns: bool"""
    return (rows.stop - rows.start + COPY_ROWS) * np.count_nonzero(columns)


def attention_of(model: Any) -> str:
    """The name of a model's attention. transformers 5.17 to 5.23 has a public setter but no public getter."""
    return model.config.get_text_config()._attn_implementation


@contextmanager
def attention_in(model: Any, blocks: Blocks) -> Iterator[None]:
    """Attend in blocks during one pass, then restore the model's own attention.

    Models that do not use PyTorch's scaled dot-product attention keep their own, under the same mask.
    """
    own = attention_of(model)
    if own != "sdpa" or len(blocks.blocks) == 1:
        yield
        return
    token = CURRENT.set(blocks)
    model.set_attn_implementation(NAME)
    try:
        yield
    finally:
        model.set_attn_implementation(own)
        CURRENT.reset(token)


def attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor,
    *,
    scaling: float | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """Attention of one layer. query: (1, heads, new tokens, size). -> (1, new tokens, heads, size)"""
    blocks = CURRENT.get()
    parts = [
        (query[:, :, rows], key.index_select(2, columns), value.index_select(2, columns), cut)
        for rows, columns, cut in blocks.cut(mask)
    ]
    if not blocks.prefix:
        outputs = [sdpa_attention_forward(module, *part, scaling=scaling, **others)[0] for part in parts]
        return torch.cat(outputs, dim=1), None
    near = [partial(module, *part, scaling=scaling) for part in parts]
    output, normaliser = (torch.cat(tensors, dim=2) for tensors in zip(*near, strict=True))
    prefix = (query, key[:, :, : blocks.prefix], value[:, :, : blocks.prefix], None)
    prefix_output, prefix_normaliser = partial(module, *prefix, scaling=scaling)
    share = torch.sigmoid(prefix_normaliser - normaliser)[..., None].to(output.dtype)
    return torch.lerp(output, prefix_output, share).transpose(1, 2).contiguous(), None


def partial(
    module: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, *, scaling: float | None
) -> tuple[Tensor, Tensor]:
    """Attention to some of the columns, and the logarithm of its normaliser. On a CPU."""
    assert CPU_KERNEL is not None, "without the kernel there is no prefix"
    groups, size = getattr(module, "num_key_value_groups", 1), value.shape[-1]
    key, value = repeat_kv(key, groups), repeat_kv(value, groups)
    if size < query.shape[-1]:  # the kernel refuses values that are narrower than keys
        value = F.pad(value, (0, query.shape[-1] - size))
    output, normaliser = CPU_KERNEL(query, key, value, attn_mask=mask, scale=scaling)
    return output[..., :size], normaliser


AttentionInterface.register(NAME, attend)


class NarrowHead(nn.Module):
    """An output layer that computes only some tokens' logits in some rows; all others are very low there.

    With a large vocabulary the output layer is a large part of a small model: a quarter at 110M parameters
    and 32,000 tokens. Within "Box 3 contains" or "and the" the automaton allows only some dozens of tokens.
    """

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

    narrow: (N,) bool, over the rows that need logits. tokens: (F,) ids. A layer that is not a plain matrix,
    or that another library has wrapped, is not changed.
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
