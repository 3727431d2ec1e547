"""settings, prompt -> key -> Completion: what models wrote, on disk, so that no run loses or mixes it up.

In: `Settings` and completions, under the `Run` that made them. Out: completions by key, from a `Store`.
"""

from bench.store.completions import Run, Settings, Store
from bench.store.database import check_store, existing_store

__all__ = ["Run", "Settings", "Store", "check_store", "existing_store"]
