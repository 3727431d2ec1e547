"""Prompt -> Completion under a constraint, by one of several engines.

In: a loaded model or a server, its prompts, a `Constraint`. Out: completions in batches, from an `Engine`.
torch is imported when an engine is made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from bench.decoding.constraint import Constraint
from bench.inputs import InputError
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


def engine_for(
    name: str,
    model: Any,
    tokenizer: Any,
    constraint: Constraint,
    *,
    batch_size: int | None = None,
    pack_tokens: int | None = None,
    identity: object = None,
) -> Engine:
    """The engine of this name for a loaded model. "auto" chooses the right one. "server" is not possible.

    name: may also be "logprob", which scores clauses and needs no constraint. batch_size, pack_tokens: None
    for the device's default. identity: the model's files and the versions of packages, as JSON. "auto" probes
    a model once for each identity, or every time if it is None. Raises ValueError if the engine cannot run
    this model.
    """
    if name == "logprob":
        from bench.decoding.tree.choices import ChoiceEngine

        return ChoiceEngine(model, tokenizer, pack_tokens=pack_tokens)
    if name not in ENGINES or name == "server":
        raise InputError(f"no engine {name!r} for a loaded model. Choose auto, reference or speculative.")
    if name == "reference":
        from bench.decoding.reference import ReferenceEngine

        return ReferenceEngine(model, tokenizer, constraint, batch_size=batch_size)
    from bench.decoding import select

    if name == "speculative":
        select.check_supported(model)
        return select.SpeculativeEngine(
            model, tokenizer, constraint, pack_tokens=pack_tokens, batch_size=batch_size
        )
    return select.automatic(
        model, tokenizer, constraint, batch_size=batch_size, pack_tokens=pack_tokens, identity=identity
    )
