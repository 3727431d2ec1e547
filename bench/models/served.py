"""Model entry -> what is known of a model that a server runs: its names, and what files are here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from bench.models.files import tokenizer_digest, tokenizer_files, weights_digest
from bench.models.loading import load_tokenizer
from bench.records import ModelEntry

Found = TypeVar("Found")


def served_names(entry: ModelEntry) -> tuple[str, ...]:
    """The ids under which a server may have the model. An adapter makes another model of the hub's."""
    return (entry.path, entry.name) if entry.source == "hub" and not entry.adapter else (entry.name,)


def served_fingerprint(entry: ModelEntry) -> dict[str, object]:
    """All that is known here of a model that runs elsewhere.

    Precision and quantization are the server's affair: another build of the model needs another name.
    """
    return {
        "served": list(served_names(entry)),
        "revision": entry.revision,
        "weights": if_here(weights_digest, entry),
        "tokenizer": tokenizer_digest(entry) if has_tokenizer(entry) else None,
        "chat": entry.chat,
    }


def served_tokenizer(entry: ModelEntry) -> Any | None:
    """The model's tokenizer, None where it is not here. transformers imports torch for it."""
    return load_tokenizer(entry) if has_tokenizer(entry) else None


def lacks_template(entry: ModelEntry) -> str | None:
    """Why a chat model cannot be asked: its turns are put into text here, never by the server."""
    if not entry.chat or has_tokenizer(entry):
        return None
    get = f'Run hf download {entry.path} --include "*token*" "chat_template*" "config.json".'
    put = f"Copy tokenizer and config.json into {entry.path}."
    return f"a chat model's tokenizer must be here. {get if entry.source == 'hub' else put}"


def has_tokenizer(entry: ModelEntry) -> bool:
    return bool(if_here(tokenizer_files, entry))


def if_here(find: Callable[[ModelEntry], Found], entry: ModelEntry) -> Found | None:
    try:
        return find(entry)
    except ValueError:
        return None
