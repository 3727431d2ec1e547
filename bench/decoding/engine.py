"""Prompts -> completions: what every engine does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from bench.records import Completion, Counters, Prompt


class Engine(Protocol):
    """Greedy decoding of one loaded model under one constraint.

    name: as results and the store know it. reason: why this engine runs and not another.
    """

    name: str
    reason: str
    counters: Counters

    def complete(self, prompts: Sequence[Prompt]) -> Iterator[list[tuple[Prompt, Completion]]]:
        """Complete every prompt once, in any order, a batch at a time.

        Raises FloatingPointError if the model returns logits that are not finite.
        """
        ...
