"""Suite file -> model entries -> model and tokenizer: found on disk, checked, and loaded completely.

In: a suite file or a model's name. Out: a `ModelEntry`, its fingerprint, the reason if this machine cannot
run it, and the loaded model. Nothing is downloaded.
"""

from bench.models.chat import render_for
from bench.models.loading import LoadedModel, load, load_tokenizer, padded_left
from bench.models.machine import (
    fingerprint,
    has_tokenizer,
    lacks_template,
    num_bytes,
    served_fingerprint,
    served_names,
    unavailable,
)

__all__ = [
    "LoadedModel",
    "fingerprint",
    "has_tokenizer",
    "lacks_template",
    "load",
    "load_tokenizer",
    "num_bytes",
    "padded_left",
    "render_for",
    "served_fingerprint",
    "served_names",
    "unavailable",
]
