"""settings, prompt -> key -> Completion: what models wrote, on disk, so that no run loses or mixes it up."""

from bench.store.completions import Run, Store
from bench.store.settings import Settings, completion_key

__all__ = ["Run", "Settings", "Store", "completion_key"]
