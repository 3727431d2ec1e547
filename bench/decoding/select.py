"""Model -> the right engine for it: structural checks, then two prompts through both engines."""

from __future__ import annotations

import inspect
from math import inf
from typing import TYPE_CHECKING, Any

import torch

from bench.cache import kept
from bench.decoding import Engine
from bench.decoding.constraint import Constraint
from bench.decoding.tree.attention import attention_of
from bench.decoding.tree.drafts import Costs
from bench.decoding.tree.engine import SpeculativeEngine
from bench.inputs import InputError
from bench.records import Completion, Counters
from bench.task.examples import examples
from bench.task.prompts import PROTOCOLS, SHOTS, build

if TYPE_CHECKING:
    from bench.decoding.reference import ReferenceEngine

NEEDED = ("attention_mask", "position_ids", "past_key_values", "logits_to_keep")
ATTENTION = ("eager", "sdpa")  # kinds of attention that accept an additive mask over any columns
LAYERS = {"full_attention", "sliding_attention"}


class Obstacle(Exception):
    """The reason why the speculative engine cannot run a model."""


def automatic(
    model: Any,
    tokenizer: Any,
    constraint: Constraint,
    *,
    batch_size: int | None,
    pack_tokens: int | None,
    identity: object = None,
) -> Engine:
    """The speculative engine if it gives the reference engine's answers, else the reference engine.

    identity: see engine_for.
    """
    try:
        if obstacle := unsupported(model):
            raise Obstacle(obstacle)
        speculative = SpeculativeEngine(
            model, tokenizer, constraint, pack_tokens=pack_tokens, batch_size=batch_size
        )
        check_once(speculative, identity)
    except Obstacle as found:
        from bench.decoding.reference import ReferenceEngine

        reference = ReferenceEngine(model, tokenizer, constraint, batch_size=batch_size)
        reference.reason = f"not speculative: {found}"
        return reference
    speculative.reason = "the model takes trees of tokens, and a probe equalled the reference engine"
    return speculative


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


def check_supported(model: Any) -> None:
    """Raises InputError if the structural checks exclude the speculative engine."""
    if obstacle := unsupported(model):
        raise InputError(f"the speculative engine cannot run this model: {obstacle}. Use reference or auto.")


def unsupported(model: Any) -> str | None:
    """The reason why the model cannot run trees of tokens; None if no reason is known."""
    config = model.config.get_text_config()
    if config.is_encoder_decoder:
        return "an encoder-decoder has no prompt to share"
    missing = [name for name in NEEDED if name not in inspect.signature(type(model).forward).parameters]
    if missing:
        return f"{type(model).__name__} takes no {' and no '.join(missing)}"
    if getattr(model, "_is_stateful", False):
        return f"{type(model).__name__} keeps a state that cannot be shared between branches"
    if getattr(config, "alibi", False):
        return "its positions are distances in the cache (ALiBi)"
    if attention_of(model) not in ATTENTION:
        return f"its attention is {attention_of(model)}, which takes no mask for a tree"
    if others := set(getattr(config, "layer_types", None) or ()) - LAYERS:
        return f"it has layers of {', '.join(sorted(others))}"
    return None


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
