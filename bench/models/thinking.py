"""Model entry, tokenizer -> the tag that ends a model's thinking."""

from __future__ import annotations

from typing import Any

from bench.inputs import InputError
from bench.records import ModelEntry

TAGS = (
    "</think>",
    "</thinking>",
    "</thought>",
    "</reasoning>",
    "</seed:think>",
    "[/THINK]",
    "<|END_THINKING|>",
)


def closing_tag(entry: ModelEntry, tokenizer: Any | None) -> str:
    """The suite's, or the one that the chat template writes. Raises ValueError if there is none."""
    template = getattr(tokenizer, "chat_template", None) or ""
    tag = entry.think_end or next((known for known in TAGS if known in str(template)), None)
    if tag is None:
        raise InputError(
            f"model {entry.name}: no tag is known that ends its thinking. "
            'Write it into the suite, as think_end = "</think>", or take another protocol.'
        )
    return tag
