"""Prompt.drafts, the text written so far -> a guess at the rest of the answer, which costs nothing."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from bench.decoding.spelling import encode_inside
from bench.task.prompts import STATEMENT


class Drafter:
    """Guesses from the clauses of each box: its present contents first, its initial contents last.

    A model that tracks states the first clause; a model that copies states the last. The drafter learns from
    finished answers which of the two this model does.
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

    If no clause begins like the text written for this box, continue as another clause does after the same
    word, or end the clause here.
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
    """The text after the last written word, in the first clause that has this word and goes on after it."""
    word = begun.rpartition(" ")[2]
    for clause in itertools.chain(*drafts):
        _, found, end = clause.partition(f" {word} ")
        if found:
            return f" {end}"
    return ""
