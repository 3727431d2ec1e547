"""Prompt -> Completion by outlines, batch by batch: the reference that other engines must equal.

Also prompt -> Thought, with the same greedy decoding and no constraint.
"""

from __future__ import annotations

import copy
import importlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from outlines.backends.outlines_core import OutlinesCoreLogitsProcessor
from transformers import BatchEncoding, GenerationConfig

from bench.decoding.automaton import index_for, spell
from bench.decoding.constraint import Constraint
from bench.decoding.device import check_finite, clock, device_of, peak_bytes
from bench.decoding.thinking import Thought, thought_of
from bench.records import Completion, Counters, Prompt

MASK = "outlines_core.kernels.torch"  # the module in which outlines applies its mask


class ReferenceEngine:
    """transformers' greedy generate with outlines' mask over the logits, prompts padded on the left."""

    name = "reference/1"

    def __init__(
        self, model: Any, tokenizer: Any, constraint: Constraint, *, batch_size: int | None = None
    ) -> None:
        self.model = model
        self.tokenizer = copy.copy(tokenizer)
        self.tokenizer.padding_side = "left"
        if self.tokenizer.pad_token_id is None:
            self.tokenizer.pad_token_id = self.tokenizer.eos_token_id
        self.constraint = constraint
        self.batch_size = batch_size or device_of(model).batch_size
        self.reason = "asked for"
        self.counters = Counters()
        self.spelling = spell(tokenizer)
        self.mask = OutlinesCoreLogitsProcessor(index_for(constraint.regex, tokenizer), "torch")

    def complete(self, prompts: Sequence[Prompt]) -> Iterator[list[tuple[Prompt, Completion]]]:
        """Complete prompts of similar length together. The batch is halved each time memory runs out."""
        waiting = sorted(prompts, key=lambda prompt: len(prompt.text))
        while waiting:
            batch = waiting[: self.batch_size]
            try:
                completions = self.complete_batch([prompt.text for prompt in batch])
            except torch.OutOfMemoryError:
                if len(batch) == 1:
                    raise
                self.batch_size = len(batch) // 2
                torch.cuda.empty_cache()
                continue
            waiting = waiting[len(batch) :]
            yield list(zip(batch, completions, strict=True))

    def complete_batch(self, texts: Sequence[str]) -> list[Completion]:
        with clock(self.counters, "total_seconds"):
            inputs = encode(self.model, self.tokenizer, texts)
            masking = self.counters.mask_seconds
            self.mask.reset()
            with clock(self.counters, "model_seconds"):
                limit = self.constraint.max_new_tokens
                rows = generate(self.model, self.tokenizer, inputs, limit, self.masked(self.mask))
            self.counters.model_seconds -= self.counters.mask_seconds - masking
            self.counters.model_tokens += int(inputs.attention_mask.sum()) - len(rows)
            completions = [
                self.completion(ids, int(mask.sum()))
                for ids, mask in zip(rows, inputs.attention_mask, strict=True)
            ]
        self.counters.peak_bytes = peak_bytes(self.model.device)
        return completions

    def masked(self, mask: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        """The mask with a check for finite logits, called once per forward pass."""

        def process(input_ids: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
            self.counters.forward_passes += 1
            self.counters.model_tokens += len(logits)
            check_finite(logits)
            with clock(self.counters, "mask_seconds"):
                return mask(input_ids, logits)

        return process

    def completion(self, ids: list[int], prompt_tokens: int) -> Completion:
        """The completion: stopped at the end-of-sequence token, or cut without one."""
        stopped = self.tokenizer.eos_token_id in ids
        ids = before(self.tokenizer.eos_token_id, ids)
        text = "".join(self.spelling[token] for token in ids)
        return Completion(text, "stop" if stopped else "length", prompt_tokens, tuple(ids))


class Thinker:
    """Calls to `think` give each prompt's thought, which ends with the tag or after max_tokens."""

    def __init__(
        self, model: Any, tokenizer: Any, tag: str, max_tokens: int, batch_size: int | None = None
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer  # padded on the left
        self.tag = tag
        self.max_tokens = max_tokens
        self.batch_size = batch_size or device_of(model).batch_size

    def think(self, prompts: Sequence[Prompt]) -> Iterator[list[tuple[Prompt, Thought]]]:
        """Think about prompts of similar length together."""
        waiting = sorted(prompts, key=lambda prompt: len(prompt.text))
        for first in range(0, len(waiting), self.batch_size):
            batch = waiting[first : first + self.batch_size]
            yield list(zip(batch, self.think_batch([prompt.text for prompt in batch]), strict=True))

    def think_batch(self, texts: Sequence[str]) -> list[Thought]:
        inputs = encode(self.model, self.tokenizer, texts)
        length = inputs.input_ids.shape[1]
        window = len(self.tag.encode()) + 1  # the largest number of tokens of the tag, and one before it

        def says_tag(input_ids: torch.Tensor, *scores: Any, **others: Any) -> torch.Tensor:
            """Ends each row whose last tokens contain the tag."""
            recent = input_ids[:, max(length, input_ids.shape[1] - window) :]
            says = [self.tag in self.decode(ids) for ids in recent.tolist()]
            return torch.tensor(says, device=input_ids.device)

        rows = generate(self.model, self.tokenizer, inputs, self.max_tokens, self.process, [says_tag])
        return [
            self.thought(before(self.tokenizer.eos_token_id, ids), int(mask.sum()))
            for ids, mask in zip(rows, inputs.attention_mask, strict=True)
        ]

    def process(self, input_ids: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        check_finite(logits)
        return logits

    def thought(self, ids: list[int], prompt_tokens: int) -> Thought:
        return thought_of(self.decode(ids), self.tag, len(ids), prompt_tokens)

    def decode(self, ids: list[int]) -> str:
        """The text with special tokens, because a tag may be one."""
        return self.tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)


def encode(model: Any, tokenizer: Any, texts: Sequence[str]) -> BatchEncoding:
    """The texts as rows of tokens, padded on the left."""
    return tokenizer(list(texts), padding=True, return_tensors="pt").to(model.device)


def generate(
    model: Any,
    tokenizer: Any,
    inputs: BatchEncoding,
    max_new_tokens: int,
    process: Callable[..., torch.Tensor],
    stopping: Sequence[Callable[..., torch.Tensor]] = (),
) -> list[list[int]]:
    """The likeliest tokens after each row, filled up with padding.

    The checkpoint's own generation settings are removed, because penalties would change a greedy answer.
    """
    config = GenerationConfig(
        max_new_tokens=max_new_tokens,
        do_sample=False,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.eos_token_id,  # so that a finished row ends at its first EOS
    )
    own, model.generation_config = model.generation_config, GenerationConfig()
    try:
        with torch.inference_mode():
            rows = model.generate(
                input_ids=inputs.input_ids,
                attention_mask=inputs.attention_mask,
                generation_config=config,
                logits_processor=[process],
                stopping_criteria=list(stopping),
            )
    finally:
        model.generation_config = own
    return rows[:, inputs.input_ids.shape[1] :].tolist()


def before(end: int, ids: list[int]) -> list[int]:
    """The tokens before the end of the sequence, or all of them."""
    return ids[: ids.index(end)] if end in ids else ids


@contextmanager
def uncompiled_mask() -> Iterator[None]:
    """Run outlines' mask as plain PyTorch inside the block.

    outlines compiles it from the moment of its import. Loading the compiler takes one second and compiling
    several, which is longer than a probe.
    """
    compiled, setting = sys.modules.pop(MASK, None), os.environ.get("TORCHDYNAMO_DISABLE")
    os.environ["TORCHDYNAMO_DISABLE"] = "1"
    try:
        importlib.import_module(MASK)
    finally:
        del os.environ["TORCHDYNAMO_DISABLE"]
        if setting is not None:
            os.environ["TORCHDYNAMO_DISABLE"] = setting
    try:
        yield
    finally:
        del sys.modules[MASK]  # the next import compiles it
        if compiled:
            sys.modules[MASK] = compiled
