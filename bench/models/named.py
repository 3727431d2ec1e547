"""The name of a model (a hub id, a folder, a GGUF file, an embedded model) -> ModelEntry."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bench.inputs import InputError, place
from bench.models.suites import HUB, load_suite, name_of
from bench.records import ModelEntry

EMBEDDED = "embedded"


def entry_of(text: str | Path, *, chat: bool = False, name: str | None = None) -> ModelEntry:
    """The entry that a suite file would have for this model. Raises ValueError if there is no such model."""
    embedded = load_suite(EMBEDDED).models
    if str(text) in embedded:
        found = embedded[str(text)]
        return replace(found, name=name or found.name)
    path = place(text)
    if is_local(text):
        if not path.exists():
            raise InputError(
                f"no model at {path}. Give a folder with a checkpoint, or a hub id (owner/name)."
            )
        return ModelEntry(name or name_of(path.resolve().name), str(path.resolve()), chat=chat)
    if not HUB.fullmatch(str(text)):
        raise InputError(f"{str(text)!r} is not a model. Give a hub id (owner/name), folder or GGUF file.")
    return ModelEntry(name or name_of(str(text).rpartition("/")[2]), str(text), "hub", chat=chat)


def is_local(text: str | Path) -> bool:
    """Whether the text is a local path: it exists, or is written like a path."""
    return isinstance(text, Path) or place(text).exists() or text.startswith((".", "/", "~"))
