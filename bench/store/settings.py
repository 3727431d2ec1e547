"""settings, prompt -> key: everything that determines a completion, and nothing else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from bench.decoding.constraint import Constraint

KEY_VERSION = 1  # raise it when the meaning of a key changes: older rows are then no longer found


def digest(value: object) -> str:
    """sha256 of canonical JSON. Bytes and the like, which no intact row has, enter by their repr."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=repr)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True)
class Settings:
    """All that a completion depends on but the prompt.

    model: a fingerprint of JSON values: resolved commit or weights digest, adapter, dtype, quantization,
    attention, tokenizer digest, chat. engine: name and version.
    """

    model: Mapping[str, object]
    constraint: Constraint
    engine: str

    def as_dict(self) -> dict[str, object]:
        """One flat table, so that two settings can be compared line by line."""
        return {
            "key_version": KEY_VERSION,
            **{f"model.{name}": value for name, value in self.model.items()},
            "regex": self.constraint.regex,
            "max_new_tokens": self.constraint.max_new_tokens,
            "engine": self.engine,
        }

    @cached_property
    def digest(self) -> str:
        return digest(self.as_dict())

    def key(self, prompt_text: str) -> str:
        """The key of one completion. The prompt enters exactly as the model is given it."""
        return digest([self.digest, prompt_text])
