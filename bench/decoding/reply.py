"""What a server's reply may be, by OpenAI's protocol and by its numbers."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

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


def impossible(reply: Reply, model: str, prompt: str, max_tokens: int) -> str | None:
    """Why a reply's model or numbers cannot be right; None if they can."""
    text, read, wrote = reply.choices[0].text, reply.usage.prompt_tokens, reply.usage.completion_tokens
    if reply.model != model:
        return f"was asked for {model}, and {reply.model} answered. Serve {model}"
    if not len(prompt) / TOKEN <= read <= len(prompt.encode()) + ADDED:
        return f"counted {read} tokens in a prompt of {len(prompt)} characters"
    if wrote > max_tokens or len(text) > wrote * TOKEN:
        return (
            f"counted {wrote} tokens in an answer of {len(text)} characters, "
            f"and was asked for {max_tokens} at most"
        )
    return None


def cut_early(reply: Reply, max_tokens: int) -> str | None:
    """What was cut before the limit that was asked for; None if nothing was."""
    text, wrote = reply.choices[0].text, reply.usage.completion_tokens
    if reply.choices[0].finish_reason == "length" and (wrote < max_tokens or not text):
        return (
            f"cut an answer of {len(text)} characters after {wrote} of {max_tokens} tokens. Give it a longer "
            "context: --max-model-len of vLLM, --context-length of SGLang, -c of llama.cpp"
        )
    return None
