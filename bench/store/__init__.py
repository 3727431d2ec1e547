"""settings, prompt -> key -> Completion: what models wrote, on disk, so that no run loses or mixes it up."""

from bench.store.completions import Run, Store
from bench.store.database import check_store
from bench.store.settings import Settings

__all__ = ["Run", "Settings", "Store", "check_store"]
