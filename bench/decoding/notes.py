"""The notes in a completion's text besides the answer: log-probabilities, or the thinking before it.

A constrained answer has no line break, so a blank line separates answer and notes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from bench.records import Completion

BREAK = "\n\n"


def with_notes(answer: str, notes: str) -> str:
    return answer + BREAK + notes


def split_notes(text: str) -> tuple[str, str]:
    """The answer, and the notes ("" without notes)."""
    answer, _, notes = text.partition(BREAK)
    return answer, notes


def write_logprobs(logprobs: Sequence[Sequence[float]]) -> str:
    return json.dumps([[round(value, 6) for value in of_box] for of_box in logprobs])


def read_logprobs(notes: str) -> list[list[float]]:
    return json.loads(notes)


def thinking_tokens(completion: Completion) -> int:
    """The number of tokens that a model spent thinking, with or without an answer."""
    return int(split_notes(completion.text)[1].partition(" ")[0])
