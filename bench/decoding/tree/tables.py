"""Regex, tokenizer -> Tables: the allowed tokens and the next states for each state of the automaton.

The automaton is outlines_core's, over the same spelling of the tokens as in the reference engine, so it
allows the same tokens. Source of the construction: Willard & Louf (2023), arXiv:2307.09702.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from outlines_core import Index
from torch import Tensor, nn
from torch.nn import functional as F

from bench.cache import kept
from bench.decoding.spelling import index_for, spell

FEW = 256
NEVER = -1
WORTH = 16  # compute a part of an output layer only if the layer is this many times larger


@dataclass(frozen=True, slots=True)
class Tables:
    """The automaton over tokens as arrays; state 0 is the first.

    tokens: (U,) the ids that are allowed in some state, ascending, so that argmax breaks ties as it does
    over the whole vocabulary. allowed: (S, U) bool. narrow: (S,) bool, the states that allow at most FEW
    tokens; few: the ids that any of these allows. column: (V,) the place of an id in tokens. following:
    (S, U) the next state. NEVER means none in both. over: (S,) bool, the states after which only the end may
    follow. spelling: token id -> its text in an answer. eos: the token that ends an answer, if allowed.
    """

    tokens: torch.Tensor
    allowed: torch.Tensor
    narrow: torch.Tensor
    few: torch.Tensor
    column: np.ndarray
    following: np.ndarray
    over: np.ndarray
    spelling: Sequence[str]
    eos: int

    def after(self, state: int, token: int) -> int | None:
        """The state after a token; None if the state does not allow it."""
        column = self.column.item(token) if token < len(self.column) else NEVER
        following = self.following.item(state, column) if column != NEVER else NEVER
        return None if following == NEVER else following

    def walk(self, state: int, ids: Iterable[int]) -> list[int]:
        """The states after each of the tokens, up to the first that is not allowed."""
        states: list[int] = []
        for token in ids:
            following = self.after(state, token)
            if following is None or token == self.eos:
                break
            states.append(state := following)
        return states

    def is_over(self, state: int) -> bool:
        """Whether only the end of the sequence may follow."""
        return self.over.item(state)


def build_tables(regex: str, tokenizer: Any, device: torch.device) -> Tables:
    """The automaton of a regex over the tokenizer's vocabulary, from the cache if it was built before."""
    spelling, eos = spell(tokenizer), tokenizer.eos_token_id
    key = [regex, eos, digest_of_spelling(spelling), version("outlines_core")]
    data = kept("tables", key, lambda: save(edges_of(index_for(regex, tokenizer))))
    with np.load(io.BytesIO(data), allow_pickle=False) as edges:
        return tables_of(edges, spelling, eos, device)


def digest_of_spelling(spelling: Sequence[str]) -> str:
    lengths = np.fromiter(map(len, spelling), np.int32)
    return hashlib.sha256("".join(spelling).encode() + lengths.tobytes()).hexdigest()


def edges_of(index: Index) -> dict[str, np.ndarray]:
    """The automaton as (E,) arrays: state, token, next state.

    State 0 is the first. outlines_core uses other numbers.
    """
    rows = index.get_transitions()
    first = index.get_initial_state()
    others = set().union(rows, *(row.values() for row in rows.values())) - {first}
    number = np.zeros(1 + max(first, *others), np.min_scalar_type(-1 - len(others)))
    number[sorted(others)] = np.arange(1, 1 + len(others))
    source = np.repeat(list(rows), [len(row) for row in rows.values()])
    tokens, targets = (
        np.concatenate([np.fromiter(part, np.int32, len(part)) for part in parts])
        for parts in (rows.values(), [row.values() for row in rows.values()])
    )
    return {"source": number[source], "token": tokens, "target": number[targets]}


def save(arrays: Mapping[str, np.ndarray]) -> bytes:
    data = io.BytesIO()
    np.savez(data, allow_pickle=False, **arrays)
    return data.getvalue()


def tables_of(
    edges: Mapping[str, np.ndarray], spelling: Sequence[str], eos: int, device: torch.device
) -> Tables:
    source, token, target = edges["source"], edges["token"], edges["target"]
    column = np.full(1 + max(len(spelling), eos), NEVER, np.int32)
    column[token] = 0
    tokens = np.flatnonzero(column + 1)
    column[tokens] = np.arange(len(tokens))
    following = np.full((1 + int(max(source.max(), target.max())), len(tokens)), NEVER, target.dtype)
    following[source, column[token]] = target
    ids, allowed = torch.from_numpy(tokens).to(device), torch.from_numpy(following != NEVER).to(device)
    narrow = allowed.sum(1) <= FEW
    few = ids[allowed[narrow].any(0)]
    going_on = source[token != eos]
    over = np.bincount(going_on, minlength=len(following)) == 0
    return Tables(ids, allowed, narrow, few, column, following, over, spelling, eos)


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
