"""Reply of a server -> Completion: what OpenAI's protocol says of both, and which numbers cannot be right."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from bench.decoding.constraint import Constraint
from bench.inputs import InputError
from bench.records import Completion

TOKEN = 128  # characters of a token at most, in any vocabulary that we know
ADDED = 8  # tokens of a prompt beside those of its bytes at most: BOS, a space before it


class Card(msgspec.Struct):
    """A model of /v1/models."""

    id: str
    owned_by: str | None = None


class Cards(msgspec.Struct):
    data: Annotated[list[Card], msgspec.Meta(max_length=10_000)]


class Choice(msgspec.Struct):
    text: str
    finish_reason: Literal["stop", "length"]


class Usage(msgspec.Struct):
    prompt_tokens: Annotated[int, msgspec.Meta(gt=0)]
    completion_tokens: Annotated[int, msgspec.Meta(ge=0)]


class Reply(msgspec.Struct):
    """The answer of /v1/completions, as far as it is used."""

    model: str
    choices: Annotated[list[Choice], msgspec.Meta(min_length=1, max_length=1)]
    usage: Usage


def completion_of(reply: Reply, model: str, prompt: str, constraint: Constraint) -> Completion:
    """A reply as a Completion. Raises InputError if its model or its numbers cannot be right."""
    choice, read, wrote = reply.choices[0], reply.usage.prompt_tokens, reply.usage.completion_tokens
    if reply.model != model:
        raise InputError(f"was asked for {model}, and {reply.model} answered. Serve {model}")
    if not len(prompt) / TOKEN <= read <= len(prompt.encode()) + ADDED:
        raise InputError(f"counted {read} tokens in a prompt of {len(prompt)} characters")
    if wrote > constraint.max_new_tokens or len(choice.text) > wrote * TOKEN:
        raise InputError(
            f"counted {wrote} tokens in an answer of {len(choice.text)} characters, "
            f"and was asked for {constraint.max_new_tokens} at most"
        )
    if choice.finish_reason == "length" and (wrote < constraint.max_new_tokens or not choice.text):
        raise InputError(
            f"cut an answer of {len(choice.text)} characters after {wrote} of {constraint.max_new_tokens} "
            "tokens. Give it a longer context: --max-model-len of vLLM, --context-length of SGLang, "
            "-c of llama.cpp"
        )
    return Completion(choice.text, choice.finish_reason, read)
