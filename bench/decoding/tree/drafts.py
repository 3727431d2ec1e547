"""Prompt.drafts, what is written so far -> how the answer may go on: a guess, in text, that costs nothing."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from bench.decoding.spelling import encode_inside
from bench.task.prompts import STATEMENT


class Drafter:
    """Guesses from the clauses of each box: its present contents (the first), or what it held before.

    A model that tracks states what a box holds; one that copies states what it held at first (the last).
    Which of the two a model does is learned from the answers that it has finished.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.tracked = self.copied = 0

    def learn(self, answer: str, drafts: Sequence[Sequence[str]]) -> None:
        """Count the boxes of which the answer says the first clause, or the last where they differ."""
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
        """Tokens that may follow each of the texts; none where there are no drafts."""
        texts = [
            continuation(text, [self.ranked(clauses) for clauses in boxes])
            for text, boxes in zip(written, drafts, strict=True)
        ]
        return encode_inside(self.tokenizer, texts)


def continuation(written: str, drafts: Sequence[Sequence[str]]) -> str:
    """The rest of the statement after what is written: this box's clause, then the likeliest of the others.

    Where no clause begins as this box's does, it goes on as another does after the same word, or ends here.
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
    """What follows the last word in the first clause that goes on after it."""
    word = begun.rpartition(" ")[2]
    for clause in itertools.chain(*drafts):
        _, found, end = clause.partition(f" {word} ")
        if found:
            return f" {end}"
    return ""
