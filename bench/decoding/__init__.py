"""Prompt -> Completion under a constraint, by one of several engines.

In: a loaded model or a server, its prompts, a `Constraint`. Out: completions in batches, from an `Engine`.
`select.engine_for` makes an engine of a loaded model. `server.ServerEngine` is the engine of a served model;
it does not import torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from bench.records import Completion, Counters, Prompt

# Engine option -> the engines that may run, by their names in results, likeliest first. The number after the
# slash is raised when an engine's answers may change.
ENGINES = {
    "auto": ("speculative/1", "reference/1"),
    "reference": ("reference/1",),
    "speculative": ("speculative/1",),
    "server": ("server/1 vllm", "server/1 sglang", "server/1 llamacpp"),
}
CHOICE = "logprob/1"  # the engine that scores clauses for the metric logprob


class Engine(Protocol):
    """Greedy decoding of one loaded model under one constraint.

    name: the engine's name in results and in the store. reason: why this engine was chosen.
    """

    name: str
    reason: str
    counters: Counters

    def complete(self, prompts: Sequence[Prompt]) -> Iterator[list[tuple[Prompt, Completion]]]:
        """Complete every prompt once, in any order, one batch at a time.

        Raises FloatingPointError if the model returns logits that are not finite.
        """
        ...


def engine_name(engine: str, max_tokens: int) -> str:
    """The name, in results, of an engine that lets a model think first."""
    return f"think/1 {max_tokens} {engine}"
