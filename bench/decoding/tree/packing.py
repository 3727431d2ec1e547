"""Token sequences -> packs: which of them share a tree, and where each leaves the path of the one before."""

from __future__ import annotations

from collections.abc import Sequence

ANSWER_TOKENS = 64  # a typical answer's

Tokens = list[int]


def shared(one: Tokens, other: Tokens) -> int:
    """The length of the longest common prefix."""
    for length, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return length
    return min(len(one), len(other))


def common_prefix(sequences: Sequence[Tokens]) -> int:
    """How many tokens all share, leaving each at least one of its own."""
    first, last = min(sequences), max(sequences)  # in dictionary order: what they share, all share
    return min(shared(first, last), min(map(len, sequences)) - 1)


def attachment(tokens: Tokens, before: Tokens) -> int:
    """Where a sequence leaves the path of the one before it, with at least one token of its own."""
    return min(shared(tokens, before), len(tokens) - 1)


def pack_size(sequences: Sequence[Tokens], prefix: int, pack_tokens: int) -> int:
    """How many of the sequences, in dictionary order, make a tree of about pack_tokens with their answers.

    The tree ends between families (sequences that share most of what follows the prefix) where it can.
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
