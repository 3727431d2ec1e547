"""Prompt.drafts, the text so far -> a guess at the rest of the answer, and the account of its costs."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from bench.decoding.automaton import encode_inside
from bench.decoding.device import device_of
from bench.task.prompts import STATEMENT

PATIENCE = 8_000.0  # tokens that drafts may lose before they must pay


class Drafter:
    """Guesses from the clauses of each box: its present contents first, its initial contents last.

    A model that tracks entities states the first clause. A model that copies states the last. The drafter
    learns from finished answers which of the two this model does.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.tracked = self.copied = 0

    def learn(self, answer: str, drafts: Sequence[Sequence[str]]) -> None:
        """Count the boxes that state their first clause, and those that state their last, if they differ."""
        clauses = answer.removeprefix(STATEMENT).removesuffix(".").split(", ")
        for clause, known in zip(clauses, drafts, strict=False):
            self.tracked += clause == known[0] != known[-1]
            self.copied += clause == known[-1] != known[0]

    def ranked(self, clauses: Sequence[str]) -> list[str]:
        """One box's clauses, likeliest first."""
        ranked = list(clauses)
        if self.copied > self.tracked:
            ranked.insert(0, ranked.pop())
        return ranked

    def propose(self, written: Sequence[str], drafts: Sequence[Sequence[Sequence[str]]]) -> list[list[int]]:
        """Tokens that may follow each of the texts. Empty for a prompt without drafts."""
        texts = [
            continuation(text, [self.ranked(clauses) for clauses in boxes])
            for text, boxes in zip(written, drafts, strict=True)
        ]
        return encode_inside(self.tokenizer, texts)


def continuation(written: str, drafts: Sequence[Sequence[str]]) -> str:
    """The rest of the statement: the rest of this box's clause, then the likeliest clause of each later box.

    If no clause begins like the text of this box, continue like another clause after the same word, or end
    the clause here.
    """
    box = written.count(", ")
    if box >= len(drafts):
        return ""
    begun = written.rpartition(", ")[2] if box else written
    opening = "" if box else STATEMENT
    rest = "".join(f", {clauses[0]}" for clauses in drafts[box + 1 :]) + "."
    for clause in drafts[box]:
        text = opening + clause + rest
        if text.startswith(begun):
            return text[len(begun) :]
    return rest.removeprefix(",") if begun.endswith(",") else following(begun, drafts) + rest


def following(begun: str, drafts: Sequence[Sequence[str]]) -> str:
    """The text after the last written word, from the first clause that continues after this word."""
    word = begun.rpartition(" ")[2]
    for clause in itertools.chain(*drafts):
        _, found, end = clause.partition(f" {word} ")
        if found:
            return f" {end}"
    return ""


class Costs:
    """Learns how often the model refuses a drafted token, and compares costs with the reference engine.

    balance: tokens saved so far. Below zero, drafts cost more than they save.
    """

    def __init__(self, model: Any) -> None:
        layers = model.config.get_text_config().num_hidden_layers
        millions = sum(weights.numel() for weights in model.parameters()) / 1e6
        device = device_of(model)
        self.pass_tokens = device.pass_weights + device.layer_starts * layers / millions
        self.tree_passes = device.tree_passes
        self.batch_size = device.batch_size
        self.accepted, self.refused = 19, 1  # initial estimate: one in twenty is refused
        self.balance = PATIENCE

    def learn(self, drafted: int, accepted: int) -> None:
        self.accepted += accepted
        self.refused += accepted < drafted

    def draft_length(self, branches: int) -> int:
        """The length that writes the most tokens for the cost of a pass that branches share.

        Let k be the chance that a token is accepted, and c the cost of a pass in tokens. A draft of length L
        writes 1 + k + ... + k^L tokens, one of them the model's own, for a cost of 1 + L + c / branches. The
        ratio rises up to the best L and falls after it.
        """
        accepted = self.accepted / (self.refused + self.accepted)
        length, written, cost = 1, 1 + accepted, 2 + self.pass_tokens / branches
        while accepted ** (length + 1) * cost > written:  # one more token pays more than the average
            length += 1
            written += accepted**length
            cost += 1
        return length

    def spend(self, tokens: int) -> None:
        """Count one forward pass over a tree with this number of tokens."""
        self.balance -= tokens + self.tree_passes * self.pass_tokens

    def save(self, prompt_tokens: int, written: int) -> None:
        """Count the reference engine's cost: each token once, and its share of the passes."""
        self.balance += prompt_tokens + written * (1 + self.pass_tokens / self.batch_size)
