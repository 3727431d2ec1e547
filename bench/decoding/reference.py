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
from typing import Any, TypeVar

import torch
from outlines.backends.outlines_core import OutlinesCoreLogitsProcessor
from transformers import BatchEncoding, GenerationConfig

from bench.decoding.automaton import index_for, spell
from bench.decoding.device import check_finite, clock, device_of, peak_bytes
from bench.decoding.thinking import Thought, thought_of
from bench.models import padded_left
from bench.records import Completion, Counters, Prompt
from bench.task.prompts import Constraint

Made = TypeVar("Made")
MASK = "outlines_core.kernels.torch"  # the module in which outlines applies its mask


class Greedy:
    """transformers' greedy generate, in batches of prompts of similar length, with its cost."""

    def __init__(self, model: Any, tokenizer: Any, batch_size: int | None, counters: Counters) -> None:
        self.model = model
        self.tokenizer = padded_left(copy.copy(tokenizer))
        self.batch_size = batch_size or device_of(model).batch_size
        self.counters = counters

    def in_batches(
        self, prompts: Sequence[Prompt], answer: Callable[[list[str]], list[Made]]
    ) -> Iterator[list[tuple[Prompt, Made]]]:
        """The answers to the prompts' texts. The batch is halved each time memory runs out."""
        waiting = sorted(prompts, key=lambda prompt: len(prompt.text))
        while waiting:
            batch = waiting[: self.batch_size]
            try:
                with clock(self.counters, "total_seconds"):
                    answers = answer([prompt.text for prompt in batch])
            except torch.OutOfMemoryError:
                if len(batch) == 1:
                    raise
                self.batch_size = len(batch) // 2
                torch.cuda.empty_cache()
                continue
            self.counters.peak_bytes = peak_bytes(self.model.device)
            waiting = waiting[len(batch) :]
            yield list(zip(batch, answers, strict=True))

    def encode(self, texts: list[str]) -> BatchEncoding:
        return self.tokenizer(texts, padding=True, return_tensors="pt").to(self.model.device)

    def generate(
        self,
        inputs: BatchEncoding,
        max_new_tokens: int,
        process: Callable[..., torch.Tensor],
        stopping: Sequence[Callable[..., torch.Tensor]] = (),
    ) -> list[tuple[list[int], bool, int]]:
        """For each row its new tokens up to the EOS, whether it has one, and the tokens of its prompt.

        process: changes the logits of a forward pass. The checkpoint's own generation settings are removed,
        because penalties would change a greedy answer. Raises FloatingPointError for logits that are not
        finite.
        """

        def counted(input_ids: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
            self.counters.forward_passes += 1
            self.counters.model_tokens += len(logits)
            check_finite(logits)
            return process(input_ids, logits)

        end = self.tokenizer.eos_token_id
        config = GenerationConfig(
            max_new_tokens=max_new_tokens, do_sample=False, eos_token_id=end, pad_token_id=end
        )
        own, self.model.generation_config = self.model.generation_config, GenerationConfig()
        masking = self.counters.mask_seconds
        try:
            with clock(self.counters, "model_seconds"), torch.inference_mode():
                rows = self.model.generate(
                    input_ids=inputs.input_ids,
                    attention_mask=inputs.attention_mask,
                    generation_config=config,
                    logits_processor=[counted],
                    stopping_criteria=list(stopping),
                )
        finally:
            self.model.generation_config = own
        self.counters.model_seconds -= self.counters.mask_seconds - masking
        self.counters.model_tokens += int(inputs.attention_mask.sum()) - len(rows)
        written = rows[:, inputs.input_ids.shape[1] :].tolist()
        return [
            (ids[: ids.index(end)] if end in ids else ids, end in ids, int(mask.sum()))
            for ids, mask in zip(written, inputs.attention_mask, strict=True)
        ]


class ReferenceEngine(Greedy):
    """Greedy decoding with outlines' mask over the logits."""

    name = "reference/1"

    def __init__(
        self, model: Any, tokenizer: Any, constraint: Constraint, *, batch_size: int | None = None
    ) -> None:
        super().__init__(model, tokenizer, batch_size, Counters())
        self.constraint = constraint
        self.reason = "asked for"
        self.spelling = spell(tokenizer)
        self.mask = OutlinesCoreLogitsProcessor(index_for(constraint.regex, tokenizer), "torch")

    def complete(self, prompts: Sequence[Prompt]) -> Iterator[list[tuple[Prompt, Completion]]]:
        return self.in_batches(prompts, self.complete_batch)

    def complete_batch(self, texts: list[str]) -> list[Completion]:
        self.mask.reset()
        rows = self.generate(self.encode(texts), self.constraint.max_new_tokens, self.masked(self.mask))
        return [
            Completion(
                "".join(self.spelling[token] for token in ids),
                "stop" if stopped else "length",
                prompt_tokens,
                tuple(ids),
            )
            for ids, stopped, prompt_tokens in rows
        ]

    def masked(self, mask: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        """The mask with its time."""

        def process(input_ids: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
            with clock(self.counters, "mask_seconds"):
                return mask(input_ids, logits)

        return process


class Thinker(Greedy):
    """Calls to `think` give each prompt's thought, which ends with the tag or after max_tokens."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        tag: str,
        max_tokens: int,
        *,
        counters: Counters,
        batch_size: int | None = None,
    ) -> None:
        super().__init__(model, tokenizer, batch_size, counters)
        self.tag = tag
        self.max_tokens = max_tokens

    def think(self, prompts: Sequence[Prompt]) -> Iterator[list[tuple[Prompt, Thought]]]:
        return self.in_batches(prompts, self.think_batch)

    def think_batch(self, texts: list[str]) -> list[Thought]:
        inputs = self.encode(texts)
        length = inputs.input_ids.shape[1]
        window = len(self.tag.encode()) + 1  # the largest number of tokens of the tag, and one before it

        def says_tag(input_ids: torch.Tensor, scores: torch.Tensor, **others: Any) -> torch.Tensor:
            """Ends each row whose last tokens contain the tag."""
            recent = input_ids[:, max(length, input_ids.shape[1] - window) :]
            says = [self.tag in self.decode(ids) for ids in recent.tolist()]
            return torch.tensor(says, device=input_ids.device)

        rows = self.generate(inputs, self.max_tokens, self.process, [says_tag])
        return [
            thought_of(self.decode(ids), self.tag, len(ids), prompt_tokens) for ids, _, prompt_tokens in rows
        ]

    def process(self, input_ids: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        return logits

    def decode(self, ids: list[int]) -> str:
        """The text with special tokens, because a tag may be one."""
        return self.tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)


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
