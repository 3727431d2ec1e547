"""Prompts -> packs: which prompts share a tree, and where each of them leaves the path of the one before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

ANSWER_TOKENS = 64  # a typical answer's

Tokens = Sequence[int]


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


def packs(sequences: Sequence[Tokens], prefix: int, pack_tokens: int) -> Iterator[range]:
    """Cut sequences, in dictionary order, into runs whose trees and answers take about pack_tokens.

    A run ends between families (sequences that share most of what follows the prefix) where it can.
    """
    start, size = 0, 0
    for family in families(sequences, prefix):
        tokens = tree_tokens(sequences[family.start : family.stop], prefix)
        if start < family.start and size + sum(tokens) > pack_tokens:
            yield range(start, family.start)
            start, size = family.start, 0
        for position, more in zip(family, tokens, strict=True):
            if start < position and size + more > pack_tokens:
                yield range(start, position)
                start, size = position, 0
            size += more
    yield range(start, len(sequences))


def families(sequences: Sequence[Tokens], prefix: int) -> Iterator[range]:
    """Runs of neighbours each of which shares most of its own tokens with the one before."""
    start = 0
    for position in range(1, len(sequences)):
        before = sequences[position - 1]
        if 2 * (shared(sequences[position], before) - prefix) < len(before) - prefix:
            yield range(start, position)
            start = position
    yield range(start, len(sequences))


def tree_tokens(sequences: Sequence[Tokens], prefix: int) -> list[int]:
    """What each sequence adds to a tree: the tokens that it does not share, and an answer."""
    attached = [prefix, *(attachment(tokens, before) for before, tokens in zip(sequences, sequences[1:]))]
    return [len(tokens) - at + ANSWER_TOKENS for tokens, at in zip(sequences, attached, strict=True)]
