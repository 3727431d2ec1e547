"""A server's reply: its form in OpenAI's protocol, and checks of its numbers."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

TOKEN = 128  # largest number of characters of a token, in all vocabularies that we know
ADDED = 8  # largest number of prompt tokens besides those of its bytes: BOS, a leading space


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
    """The fields of a reply of /v1/completions that are used."""

    model: str
    choices: Annotated[list[Choice], msgspec.Meta(min_length=1, max_length=1)]
    usage: Usage


def impossible(reply: Reply, model: str, prompt: str, max_tokens: int) -> str | None:
    """The reason why a reply's model or numbers are impossible; None if they are possible."""
    text, read, wrote = reply.choices[0].text, reply.usage.prompt_tokens, reply.usage.completion_tokens
    if reply.model != model:
        return f"was asked for {model}, but {reply.model} answered. Serve {model}"
    if not len(prompt) / TOKEN <= read <= len(prompt.encode()) + ADDED:
        return f"counted {read} tokens in a prompt of {len(prompt)} characters"
    if wrote > max_tokens or len(text) > wrote * TOKEN:
        return (
            f"counted {wrote} tokens in an answer of {len(text)} characters, "
            f"but the request allowed at most {max_tokens}"
        )
    return None


def cut_early(reply: Reply, max_tokens: int) -> str | None:
    """A message if the answer was cut before the requested limit; None otherwise."""
    text, wrote = reply.choices[0].text, reply.usage.completion_tokens
    if reply.choices[0].finish_reason == "length" and (wrote < max_tokens or not text):
        return (
            f"cut an answer of {len(text)} characters after {wrote} of {max_tokens} tokens. Give it a longer "
            "context: --max-model-len of vLLM, --context-length of SGLang, -c of llama.cpp"
        )
    return None
