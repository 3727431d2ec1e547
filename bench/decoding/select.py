"""Engine name, model -> an engine. "auto" checks the model's structure, then probes both engines."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

import torch

from bench.cache import kept
from bench.decoding import Engine
from bench.decoding.device import Costs
from bench.decoding.tree.attention import attention_of
from bench.decoding.tree.engine import SpeculativeEngine
from bench.decoding.tree.tree import unsupported
from bench.inputs import InputError
from bench.records import Completion, Counters
from bench.task.examples import examples
from bench.task.prompts import PROTOCOLS, SHOTS, Constraint, build

if TYPE_CHECKING:
    from bench.decoding.reference import ReferenceEngine


class Obstacle(Exception):
    """The reason why the speculative engine cannot run a model."""


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
    """The engine of this name for a loaded model: auto, reference, speculative or logprob.

    "auto" is the speculative engine if it gives the reference engine's answers, else the reference engine.
    "logprob" scores clauses and needs no constraint. batch_size, pack_tokens: None for the device's default.
    identity: the model's files and the versions of packages, as JSON. "auto" probes a model once for each
    identity, or every time if it is None. Raises ValueError if the engine cannot run this model.
    """
    if name == "logprob":
        from bench.decoding.tree.choices import ChoiceEngine

        return ChoiceEngine(model, tokenizer, pack_tokens=pack_tokens)
    if name not in ("auto", "reference", "speculative"):
        raise InputError(f"no engine {name!r} for a loaded model. Choose auto, reference or speculative.")
    reason = "asked for"
    if name != "reference":
        try:
            if obstacle := unsupported(model):
                raise Obstacle(obstacle)
            speculative = SpeculativeEngine(
                model, tokenizer, constraint, pack_tokens=pack_tokens, batch_size=batch_size
            )
            if name == "auto":
                check_once(speculative, identity)
                speculative.reason = (
                    "the model takes trees of tokens, and a probe equalled the reference engine"
                )
            return speculative
        except Obstacle as found:
            if name == "speculative":
                raise InputError(
                    f"the speculative engine cannot run this model: {found}. Use reference or auto."
                ) from None
            reason = f"not speculative: {found}"
    from bench.decoding.reference import ReferenceEngine  # outlines takes seconds to import

    reference = ReferenceEngine(model, tokenizer, constraint, batch_size=batch_size)
    reference.reason = reason
    return reference


def check_once(speculative: SpeculativeEngine, identity: object) -> None:
    """Probe a model, unless a model of this identity has passed the probe before on this kind of device.

    Only a pass is remembered, because a failure may come from the machine. Raises Obstacle for a difference.
    """

    def probe() -> bytes:
        if obstacle := difference(speculative, speculative.reference):
            raise Obstacle(obstacle)
        return b"the same answers"

    model = speculative.model
    device = torch.cuda.get_device_name(model.device) if model.device.type == "cuda" else model.device.type
    if identity is None:
        probe()
    else:
        kept("probe", [identity, str(model.dtype), attention_of(model), device], probe)


def difference(speculative: SpeculativeEngine, reference: ReferenceEngine) -> str | None:
    """Run two prompts through both engines. The difference as text; None if they agree.

    In less than float32, rounding may change one of the two answers, but a wrong mask changes both.
    """
    from bench.decoding.reference import uncompiled_mask

    shots = examples(SHOTS)
    prompts = [build(shot, PROTOCOLS["strict"]) for shot in (shots[1], shots[-1])]
    answers: list[dict[str, Completion]] = []
    speculative.costs.balance = inf  # it must not hand the probe over to the other engine
    try:
        with uncompiled_mask():
            for engine in (reference, speculative):
                packs = engine.complete(prompts)
                answers.append({prompt.example_id: done for pack in packs for prompt, done in pack})
    except (AttributeError, IndexError, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
        if len(answers) == 0:
            raise
        return f"a probe failed ({str(error).splitlines()[0]})"
    finally:
        reference.counters, speculative.counters = Counters(), Counters()
        speculative.costs = Costs(speculative.model)
    same = sum(answers[0][name] == answers[1][name] for name in answers[0])
    needed = len(prompts) if speculative.model.dtype == torch.float32 else 1
    return None if same >= needed else f"a probe gave {len(prompts) - same} of {len(prompts)} other answers"
