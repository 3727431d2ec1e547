"""Attention over a tree: of what the mask would hide, which is most of it, little is computed.

New tokens attend in blocks, each to the columns that one of its tokens sees. On a CPU what all of them see,
the prefix that prompts share, is attended to once for all, and the two are joined by their normalisers, as
between the blocks of FlashAttention (Dao et al. 2022, arXiv:2205.14135).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

COPY_ROWS = 24  # gathering a column costs as much as so many tokens that look at it

Block = tuple[slice, np.ndarray]  # rows of new tokens, and the columns that any of them sees


def prefix_of(visible: np.ndarray) -> int:
    """How many of the first columns every new token sees; its own and what follows are not among them.

    visible: (new tokens, all columns) bool
    """
    new, total = visible.shape
    return int(np.append(visible[:, : total - new].all(axis=0), False).argmin())


def blocks_of(visible: np.ndarray, lengths: Sequence[int], prefix: int) -> list[Block]:
    """Segments of new tokens in blocks that see much the same columns from the prefix on.

    Segments are joined where that costs less than apart. lengths: of the segments, in tokens.
    """
    found: list[Block] = []
    end = 0
    for length in lengths:
        start, end = end, end + length
        seen = prefix + np.flatnonzero(visible[end - 1, prefix:])  # the last token sees all that they see
        if found:
            rows, columns = found[-1]
            both = np.union1d(columns, seen)
            apart = cost(rows, columns) + cost(slice(start, end), seen)
            if cost(slice(rows.start, end), both) <= apart:
                found[-1] = (slice(rows.start, end), both)
                continue
        found.append((slice(start, end), seen))
    return found


def cost(rows: slice, columns: np.ndarray) -> int:
    """Of the attention of a block, as so many pairs of a token and a column."""
    return (rows.stop - rows.start + COPY_ROWS) * len(columns)


@contextmanager
def attention_in(blocks: Sequence[Block], prefix: int) -> Iterator[None]:
    """Leave out of the attention what the mask would hide.

    prefix: columns before those of the blocks, which all tokens see. Models with an attention of their own
    compute it whole, under the same mask, to the same end.
    """
    if len(blocks) == 1:
        yield
        return

    def cut(query, key, value, mask):  # (1, heads, rows or columns, size) -> the same of each block
        for rows, columns in blocks:
            where = torch.from_numpy(columns).to(key.device)
            keys, values = key.index_select(2, where), value.index_select(2, where)  # faster than an index
            yield query[:, :, rows], keys, values, mask[:, :, rows].index_select(3, where)

    def attend(module, *states, **settings):
        return torch.cat([sdpa_attention_forward(module, *b, **settings)[0] for b in cut(*states)], 1), None

    def attend_twice(module, query, key, value, mask, *, scaling=None, **settings):
        near = [partial(module, *block, scaling=scaling) for block in cut(query, key, value, mask)]
        outputs, normalisers = (torch.cat(parts, dim=2) for parts in zip(*near, strict=True))
        first = (query, key[:, :, :prefix], value[:, :, :prefix], None)
        ahead, normaliser = partial(module, *first, scaling=scaling)
        share = torch.sigmoid(normaliser - normalisers)[..., None].to(outputs.dtype)
        return torch.lerp(outputs, ahead, share).transpose(1, 2).contiguous(), None

    ALL_ATTENTION_FUNCTIONS["sdpa"] = attend_twice if prefix else attend
    try:
        yield
    finally:
        del ALL_ATTENTION_FUNCTIONS["sdpa"]


def partial(
    module: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, *, scaling: float | None
) -> tuple[Tensor, Tensor]:
    """Attention to some of the columns, and the logarithm of its normaliser. On a CPU."""
    groups, size = getattr(module, "num_key_value_groups", 1), value.shape[-1]
    key, value = repeat_kv(key, groups), repeat_kv(value, groups)
    if size < query.shape[-1]:  # some models' values are narrower, which the kernel refuses
        value = F.pad(value, (0, query.shape[-1] - size))
    attend = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    output, normaliser = attend(query, key, value, attn_mask=mask, scale=scaling)
    return output[..., :size], normaliser
