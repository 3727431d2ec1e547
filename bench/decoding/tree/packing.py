"""Token sequences -> packs: which sequences share a tree, and where each branches off the one before."""

from __future__ import annotations

from collections.abc import Sequence

ANSWER_TOKENS = 64  # in a typical answer

Tokens = list[int]


def shared(one: Tokens, other: Tokens) -> int:
    """The length of the longest common prefix."""
    for length, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return length
    return min(len(one), len(other))


def common_prefix(sequences: Sequence[Tokens]) -> int:
    """The number of leading tokens that all share. Each sequence keeps at least one token of its own."""
    first, last = min(sequences), max(sequences)  # in dictionary order, so all share what these two share
    return min(shared(first, last), min(map(len, sequences)) - 1)


def attachment(tokens: Tokens, before: Tokens) -> int:
    """The length at which a sequence branches off the one before. It keeps at least one token of its own."""
    return min(shared(tokens, before), len(tokens) - 1)


def pack_size(sequences: Sequence[Tokens], prefix: int, pack_tokens: int) -> int:
    """The number of leading sequences that make a tree of about pack_tokens, answers included.

    sequences: in dictionary order. The tree ends between families where it can; a family shares most of its
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
