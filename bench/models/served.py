"""Model entry -> facts about a model that a server runs: its names, and its files on this machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from bench.models.files import tokenizer_digest, tokenizer_files, weights_digest
from bench.models.loading import load_tokenizer
from bench.records import ModelEntry

Found = TypeVar("Found")


def served_names(entry: ModelEntry) -> tuple[str, ...]:
    """The ids under which a server may have the model. With an adapter, the hub id is a different model."""
    return (entry.path, entry.name) if entry.source == "hub" and not entry.adapter else (entry.name,)


def served_fingerprint(entry: ModelEntry) -> dict[str, object]:
    """All facts known on this machine about a model that runs on a server.

    We cannot see the server's precision and quantization. So each build of a model needs its own name.
    """
    return {
        "served": list(served_names(entry)),
        "revision": entry.revision,
        "weights": if_here(weights_digest, entry),
        "tokenizer": tokenizer_digest(entry) if has_tokenizer(entry) else None,
        "chat": entry.chat,
    }


def served_tokenizer(entry: ModelEntry) -> Any | None:
    """The model's tokenizer; None if it is not on this machine. transformers imports torch for it."""
    return load_tokenizer(entry) if has_tokenizer(entry) else None


def lacks_template(entry: ModelEntry) -> str | None:
    """The reason why a chat model cannot be asked. This machine, not the server, renders its turns."""
    if not entry.chat or has_tokenizer(entry):
        return None
    get = f'Run hf download {entry.path} --include "*token*" "chat_template*" "config.json".'
    put = f"Copy tokenizer and config.json into {entry.path}."
    return f"a chat model's tokenizer must be on this machine. {get if entry.source == 'hub' else put}"


def has_tokenizer(entry: ModelEntry) -> bool:
    return bool(if_here(tokenizer_files, entry))


def if_here(find: Callable[[ModelEntry], Found], entry: ModelEntry) -> Found | None:
    try:
        return find(entry)
    except ValueError:
        return None
