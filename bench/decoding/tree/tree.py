"""Sequences that share prefixes -> logits: a tree of tokens in one row of the model's cache.

Each token sees the path from the root to itself and nothing else, at the position that it has on that path.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers.cache_utils import Cache, DynamicLayer

from bench.decoding.tree.attention import attention_in, blocks_of, prefix_of


class Tree:
    """Tokens are added behind a path of columns; one forward pass then runs all that were added."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.cache = Cache(layer_class_to_replicate=GrowingLayer)
        self.window = getattr(model.config.get_text_config(), "sliding_window", None)
        self.positions: list[int] = []  # of every column
        self.added: list[tuple[np.ndarray, int]] = []  # (path before, number of tokens)
        self.input_ids: list[int] = []

    def add(self, path: Sequence[int], tokens: Sequence[int]) -> list[int]:
        """Queue tokens that follow one another behind a path; returns their columns."""
        first = len(self.positions)
        self.added.append((np.array(path, dtype=np.int64), len(tokens)))
        self.input_ids += tokens
        self.positions += range(len(path), len(path) + len(tokens))
        return list(range(first, len(self.positions)))

    def run(self, columns: Sequence[int]) -> torch.Tensor:
        """One forward pass over what was added. -> logits at these of the new columns, (len(columns), V)"""
        old = len(self.positions) - len(self.input_ids)
        device = self.model.device
        visible = self.visible()
        prefix = prefix_of(visible) if device.type == "cpu" and self.window is None else 0
        blocks = blocks_of(visible, [length for _, length in self.added], prefix)
        with attention_in(blocks, prefix):
            output = self.model(
                input_ids=torch.tensor([self.input_ids], device=device),
                position_ids=torch.tensor([self.positions[old:]], device=device),
                attention_mask=self.masks(visible),
                past_key_values=self.cache,
                use_cache=True,
                logits_to_keep=torch.tensor(columns, device=device) - old,
            )
        self.added, self.input_ids = [], []
        return output.logits[0]

    def visible(self) -> np.ndarray:
        """Which columns each new token sees. -> (new tokens, all columns) bool"""
        new, total = len(self.input_ids), len(self.positions)
        visible = np.zeros((new, total), dtype=bool)
        row = 0
        for path, length in self.added:
            block = visible[row : row + length]
            block[:, path] = True
            column = total - new + row
            block[:, column : column + length] = np.tri(length, dtype=bool)
            row += length
        return visible

    def masks(self, visible: np.ndarray) -> torch.Tensor | dict[str, torch.Tensor]:
        """The additive mask that the model's layers take; one for each kind of layer where it mixes kinds."""
        if self.window is None:
            return self.additive(visible)
        positions = np.array(self.positions)
        near = positions[-len(visible) :, None] - positions[None, :] < self.window
        sliding = self.additive(visible & near)
        if getattr(self.model.config.get_text_config(), "layer_types", None) is None:
            return sliding
        return {"full_attention": self.additive(visible), "sliding_attention": sliding}

    def additive(self, visible: np.ndarray) -> torch.Tensor:
        """0 where a token sees a column, else the least finite number. -> (1, 1, new tokens, all columns)"""
        dtype = self.model.dtype
        mask = torch.full(visible.shape, torch.finfo(dtype).min, dtype=dtype)
        mask[torch.from_numpy(visible)] = 0
        return mask[None, None].to(self.model.device)

    def keep(self, first: int, columns: Sequence[int]) -> list[int]:
        """Of the columns from the first on, forget all but these; returns their new numbers.

        Also forgets what was added and not run, as a pass that failed leaves it.
        """
        self.added, self.input_ids = [], []
        self.positions[first:] = [self.positions[column] for column in columns]
        for layer in self.cache.layers:
            layer.keep(first, columns)
        return list(range(first, first + len(columns)))


class GrowingLayer(DynamicLayer):
    """A cache layer, (1, heads, columns, head size), that is written in place and can forget columns."""

    length = 0
    is_initialized: bool

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        start, end = self.length, self.length + key_states.shape[-2]
        if not self.is_initialized:
            self.dtype, self.device = key_states.dtype, key_states.device
            self.keys, self.values = key_states, value_states
            self.is_initialized = True
        if end > self.keys.shape[-2]:
            self.keys, self.values = (
                with_room(states, start, 2 * end) for states in (self.keys, self.values)
            )
        self.keys[..., start:end, :] = key_states
        self.values[..., start:end, :] = value_states
        self.length = end
        return self.keys[..., :end, :], self.values[..., :end, :]

    def keep(self, first: int, columns: Sequence[int]) -> None:
        self.length = first + len(columns)
        where = torch.tensor(columns, dtype=torch.int64, device=self.device)
        for states in (self.keys, self.values):
            states[..., first : self.length, :] = states.index_select(-2, where)

    def get_seq_length(self) -> int:
        return self.length


def with_room(states: torch.Tensor, used: int, columns: int) -> torch.Tensor:
    """The used columns in a longer tensor."""
    longer = states.new_empty(*states.shape[:-2], columns, states.shape[-1])
    longer[..., :used, :] = states[..., :used, :]
    return longer
