"""Sequences that share prefixes -> packs -> logits: a tree of tokens in one row of the model's cache.

Each token sees the path from the root to itself and nothing else. Its position is its place on that path.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer

from bench.decoding.device import check_finite, clock
from bench.decoding.tree.attention import CPU_KERNEL, Blocks, attention_in, attention_of, blocks_of, prefix_of
from bench.records import Counters, Prompt

ANSWER_TOKENS = 64  # tokens in a typical answer
ENCODED_AT_ONCE = 256  # prompts per call of the tokenizer
NEEDED = ("attention_mask", "position_ids", "past_key_values", "logits_to_keep")
ATTENTION = ("eager", "sdpa")  # kinds of attention that accept an additive mask over any columns
LAYERS = {"full_attention", "sliding_attention"}

Tokens = list[int]


def unsupported(model: Any) -> str | None:
    """The reason why the model cannot run trees of tokens; None if no reason is known."""
    config = model.config.get_text_config()
    if config.is_encoder_decoder:
        return "an encoder-decoder has no prompt to share"
    missing = [name for name in NEEDED if name not in inspect.signature(type(model).forward).parameters]
    if missing:
        return f"{type(model).__name__} takes no {' and no '.join(missing)}"
    if getattr(model, "_is_stateful", False):
        return f"{type(model).__name__} keeps a state that cannot be shared between branches"
    if getattr(config, "alibi", False):
        return "its positions are distances in the cache (ALiBi)"
    if attention_of(model) not in ATTENTION:
        return f"its attention is {attention_of(model)}, which takes no mask for a tree"
    if others := set(getattr(config, "layer_types", None) or ()) - LAYERS:
        return f"it has layers of {', '.join(sorted(others))}"
    return None


class Tree:
    """A tree of tokens. Add segments after paths of columns, then run them all in one forward pass."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.cache = Cache(layer_class_to_replicate=GrowingLayer)
        self.window = getattr(model.config.get_text_config(), "sliding_window", None)
        self.positions: list[int] = []  # position of every column
        self.added: list[tuple[np.ndarray, int]] = []  # (path before, number of tokens)
        self.input_ids: list[int] = []

    def add(self, path: Sequence[int], tokens: Sequence[int]) -> list[int]:
        """Queue a segment: successive tokens after a path. Returns their columns."""
        first = len(self.positions)
        if tokens:  # an attention kernel may fail on a block without tokens
            self.added.append((np.array(path, dtype=np.int64), len(tokens)))
        self.input_ids += tokens
        self.positions += range(len(path), len(path) + len(tokens))
        return list(range(first, len(self.positions)))

    def run(self, columns: Sequence[int]) -> Tensor:
        """One forward pass over the queued segments. -> logits at these of its columns, (len(columns), V)"""
        old = len(self.positions) - len(self.input_ids)
        device = self.model.device
        seen, lengths = self.seen(), [length for _, length in self.added]
        has_prefix = device.type == "cpu" and self.window is None and CPU_KERNEL is not None
        prefix = prefix_of(seen, old) if has_prefix else 0
        with attention_in(self.model, Blocks(blocks_of(seen, lengths, prefix), prefix)):
            output = self.model(
                input_ids=torch.tensor([self.input_ids], device=device),
                position_ids=torch.tensor([self.positions[old:]], device=device),
                attention_mask=self.masks(self.visible(seen)),
                past_key_values=self.cache,
                use_cache=True,
                logits_to_keep=torch.tensor(columns, device=device) - old,
            )
        self.added, self.input_ids = [], []
        return output.logits[0]

    def seen(self) -> np.ndarray:
        """The columns that the last token of each queued segment sees. -> (segments, all columns) bool"""
        total = len(self.positions)
        seen = np.zeros((len(self.added), total), dtype=bool)
        column = total - len(self.input_ids)
        for row, (path, length) in zip(seen, self.added, strict=True):
            row[path] = True
            row[column : column + length] = True
            column += length
        return seen

    def visible(self, seen: np.ndarray) -> Tensor:
        """The columns that each new token sees, on the model's device. -> (new tokens, all columns) bool

        A path has only earlier columns, so a token sees of its segment's columns those up to its own.
        """
        device, total = self.model.device, len(self.positions)
        lengths = torch.tensor([length for _, length in self.added], device=device)
        column = torch.arange(total, device=device)
        rows = torch.from_numpy(seen).to(device)
        rows = rows.repeat_interleave(lengths, dim=0, output_size=len(self.input_ids))
        return rows & (column <= column[total - len(rows) :, None])

    def masks(self, visible: Tensor) -> Tensor | dict[str, Tensor]:
        """The additive mask for the layers, or one mask per kind of layer if the model mixes kinds."""
        if self.window is None:
            return self.additive(visible)
        positions = torch.tensor(self.positions, device=visible.device)
        sliding = self.additive(visible & (positions[-len(visible) :, None] - positions < self.window))
        if getattr(self.model.config.get_text_config(), "layer_types", None) is None:
            return sliding
        return {"full_attention": self.additive(visible), "sliding_attention": sliding}

    def additive(self, visible: Tensor) -> Tensor:
        """0 if a token sees a column, else the lowest finite number. -> (1, 1, new tokens, all columns)"""
        dtype = self.model.dtype
        mask = torch.zeros(visible.shape, dtype=dtype, device=visible.device)
        return mask.masked_fill_(~visible, torch.finfo(dtype).min)[None, None]

    def keep(self, first: int, columns: Sequence[int]) -> list[int]:
        """Forget all columns from `first` on, except these. Returns their new numbers.

        Queued segments that were not run are forgotten too. A failed pass leaves some.
        """
        self.added, self.input_ids = [], []
        self.positions[first:] = [self.positions[column] for column in columns]
        for layer in self.cache.layers:
            layer.keep(first, columns)
        return list(range(first, first + len(columns)))


class GrowingLayer(DynamicLayer):
    """A cache layer that is written in place and can forget columns: (1, heads, columns, head size)."""

    length = 0
    is_initialized: bool

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
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


def with_room(states: Tensor, used: int, columns: int) -> Tensor:
    """The used columns in a longer tensor."""
    longer = states.new_empty(*states.shape[:-2], columns, states.shape[-1])
    longer[..., :used, :] = states[..., :used, :]
    return longer


def run(tree: Tree, columns: Sequence[int], counters: Counters) -> Tensor:
    """Tree.run, counted. Raises FloatingPointError for logits that are not finite."""
    counters.forward_passes += 1
    counters.model_tokens += len(tree.input_ids)
    with clock(counters, "model_seconds"), torch.inference_mode():
        logits = tree.run(columns)
        check_finite(logits)
    return logits


def rooted(model: Any, sequences: Sequence[Tokens], counters: Counters) -> tuple[Tree, list[int]]:
    """A tree of the tokens that all sequences begin with, and their columns."""
    tree = Tree(model)
    root = tree.add([], sequences[0][: common_prefix(sequences)])
    if root:
        run(tree, root[-1:], counters)
    return tree, root


def encode(tokenizer: Any, prompts: Sequence[Prompt]) -> Iterator[tuple[Tokens, Prompt]]:
    """Encode prompts in parts, because a tokenizer's call needs several times the memory of the ids."""
    for first in range(0, len(prompts), ENCODED_AT_ONCE):
        part = prompts[first : first + ENCODED_AT_ONCE]
        yield from zip(tokenizer([prompt.text for prompt in part]).input_ids, part, strict=True)


def plant(tree: Tree, root: list[int], sequences: Sequence[Tokens]) -> Iterator[list[int]]:
    """Add sequences. Each leaves the path of the previous one at their first different token.

    Yields the path of each, before the next is added. root: the path that all have in common.
    """
    before, path = sequences[0][: len(root)], root
    for tokens in sequences:
        start = attachment(tokens, before)
        path = path[:start] + tree.add(path[:start], tokens[start:])
        yield path
        before = tokens


def shared(one: Tokens, other: Tokens) -> int:
    """The length of the longest common prefix."""
    for length, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return length
    return min(len(one), len(other))


def common_prefix(sequences: Sequence[Tokens]) -> int:
    """The number of leading tokens that all share. Each sequence keeps at least one own token."""
    first, last = min(sequences), max(sequences)  # in dictionary order: all share the prefix of these two
    return min(shared(first, last), min(map(len, sequences)) - 1)


def attachment(tokens: Tokens, before: Tokens) -> int:
    """The length at which a sequence branches off the previous one. It keeps at least one own token."""
    return min(shared(tokens, before), len(tokens) - 1)


def pack_size(sequences: Sequence[Tokens], prefix: int, pack_tokens: int) -> int:
    """The number of leading sequences that make a tree of about pack_tokens tokens, answers included.

    sequences: in dictionary order. The tree ends between families if possible. A family shares most of its
    tokens after the prefix.
    """
    size = end = 0
    for position, tokens in enumerate(sequences):
        before = sequences[position - 1] if position else tokens[:prefix]
        attached = attachment(tokens, before)
        if 2 * (attached - prefix) < len(before) - prefix:
            end = position
        size += len(tokens) - attached + ANSWER_TOKENS
        if size > pack_tokens:
            return end or max(position, 1)
    return len(sequences)
