"""What a completion's text keeps besides the answer: log-probabilities, or the thinking that came before it.

An answer that a constraint allows has no line break, so a blank line separates the two.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from bench.records import Completion

BREAK = "\n\n"


def with_notes(answer: str, notes: str) -> str:
    return answer + BREAK + notes


def split_notes(text: str) -> tuple[str, str]:
    """The answer, and the notes ("" where there are none)."""
    answer, _, notes = text.partition(BREAK)
    return answer, notes


def write_logprobs(logprobs: Sequence[Sequence[float]]) -> str:
    return json.dumps([[round(value, 6) for value in of_box] for of_box in logprobs])


def read_logprobs(notes: str) -> list[list[float]]:
    return json.loads(notes)


def thinking_tokens(completion: Completion) -> int:
    """How many tokens a model spent before its answer, or without one."""
    return int(split_notes(completion.text)[1].partition(" ")[0])
