"""Model entry -> model and tokenizer: found on disk, audited, loaded with nothing missing."""

from bench.models.audit import Audit, audit
from bench.models.chat import render_for
from bench.models.files import fingerprint, num_bytes, unavailable
from bench.models.load import LoadedModel, load, load_tokenizer

__all__ = [
    "Audit",
    "LoadedModel",
    "audit",
    "fingerprint",
    "load",
    "load_tokenizer",
    "num_bytes",
    "render_for",
    "unavailable",
]
