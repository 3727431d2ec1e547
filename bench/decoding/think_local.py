"""Prompts -> thoughts of a loaded model: greedy, without constraint, one batch at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from transformers import GenerationConfig, StoppingCriteria

from bench.decoding.device import check_finite, device_of
from bench.decoding.reference import neutral_generation
from bench.decoding.thinking import Thought, thought_of
from bench.records import Prompt


class Thinker:
    """Calls to `think` give each prompt's thought, which ends with the tag or after max_tokens."""

    def __init__(
        self, model: Any, tokenizer: Any, tag: str, max_tokens: int, batch_size: int | None = None
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer  # padded on the left
        self.tag = tag
        self.batch_size = batch_size or device_of(model).batch_size
        self.config = GenerationConfig(
            max_new_tokens=max_tokens,
            do_sample=False,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.eos_token_id,
        )

    def think(self, prompts: Sequence[Prompt]) -> Iterator[list[tuple[Prompt, Thought]]]:
        """Think about prompts of similar length together."""
        waiting = sorted(prompts, key=lambda prompt: len(prompt.text))
        for first in range(0, len(waiting), self.batch_size):
            batch = waiting[first : first + self.batch_size]
            yield list(zip(batch, self.think_batch([prompt.text for prompt in batch]), strict=True))

    def think_batch(self, texts: Sequence[str]) -> list[Thought]:
        inputs = self.tokenizer(list(texts), padding=True, return_tensors="pt").to(self.model.device)
        length = inputs.input_ids.shape[1]
        with neutral_generation(self.model), torch.inference_mode():
            rows = self.model.generate(
                input_ids=inputs.input_ids,
                attention_mask=inputs.attention_mask,
                generation_config=self.config,
                stopping_criteria=[SaysTag(self.tokenizer, self.tag, length)],
                logits_processor=[self.process],
            )[:, length:]
        return [
            self.thought(ids, int(mask.sum()))
            for ids, mask in zip(rows.tolist(), inputs.attention_mask, strict=True)
        ]

    def process(self, input_ids: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        check_finite(logits)
        return logits

    def thought(self, ids: list[int], prompt_tokens: int) -> Thought:
        """The thought up to the tag, or up to the end of the sequence if that comes first."""
        end = self.tokenizer.eos_token_id
        ids = ids[: ids.index(end)] if end in ids else ids
        return thought_of(decode(self.tokenizer, ids), self.tag, len(ids), prompt_tokens)


class SaysTag(StoppingCriteria):
    """Ends each row of a batch when its last tokens contain the tag."""

    def __init__(self, tokenizer: Any, tag: str, prompt: int) -> None:
        self.tokenizer = tokenizer
        self.tag = tag
        self.prompt = prompt
        self.window = len(tag.encode()) + 1  # the largest number of tokens of the tag, and one before it

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        recent = input_ids[:, max(self.prompt, input_ids.shape[1] - self.window) :]
        says = [self.tag in decode(self.tokenizer, ids) for ids in recent.tolist()]
        return torch.tensor(says, device=input_ids.device)


def decode(tokenizer: Any, ids: list[int]) -> str:
    """The text with special tokens, because a tag may be one."""
    return tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
