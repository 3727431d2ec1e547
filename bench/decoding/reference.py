"""Prompt -> Completion by outlines, batch by batch: the reference that other engines must equal."""

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
from transformers import GenerationConfig

from bench.decoding.constraint import Constraint
from bench.decoding.device import check_finite, clock, device_of, peak_bytes
from bench.decoding.spelling import index_for, spell
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
        self.config = GenerationConfig(
            max_new_tokens=constraint.max_new_tokens,
            do_sample=False,
            eos_token_id=self.tokenizer.eos_token_id,
            pad_token_id=self.tokenizer.pad_token_id,
        )

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
            inputs = self.tokenizer(list(texts), padding=True, return_tensors="pt").to(self.model.device)
            written = self.generate(inputs.input_ids, inputs.attention_mask)
            completions = [
                self.completion(ids, int(mask.sum()))
                for ids, mask in zip(written.tolist(), inputs.attention_mask, strict=True)
            ]
        self.counters.peak_bytes = peak_bytes(self.model.device)
        return completions

    def generate(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """The model's tokens after each row. (B, T) -> (B, new tokens), filled up with padding."""
        masking = self.counters.mask_seconds
        self.mask.reset()
        with clock(self.counters, "model_seconds"), neutral_generation(self.model), torch.inference_mode():
            rows = self.model.generate(
                input_ids=input_ids,
                attention_mask=attention_mask,
                generation_config=self.config,
                logits_processor=[self.masked(self.mask)],
            )
        self.counters.model_seconds -= self.counters.mask_seconds - masking
        self.counters.model_tokens += int(attention_mask.sum()) - len(input_ids)
        return rows[:, input_ids.shape[1] :]

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
        ids = ids[: ids.index(self.tokenizer.eos_token_id)] if stopped else ids
        text = "".join(self.spelling[token] for token in ids)
        return Completion(text, "stop" if stopped else "length", prompt_tokens, tuple(ids))


@contextmanager
def neutral_generation(model: Any) -> Iterator[None]:
    """Remove the checkpoint's own generation settings. Their penalties would change a greedy answer."""
    kept, model.generation_config = model.generation_config, GenerationConfig()
    try:
        yield
    finally:
        model.generation_config = kept


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
