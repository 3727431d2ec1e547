"""settings, prompt -> key -> Completion: all completions on disk, so that no run loses or mixes them.

In: `Settings` and completions, with the `Run` that made them. Out: completions by key, from a `Store`.
"""

from bench.store.completions import Run, Settings, Store
from bench.store.database import check_store, existing_store

__all__ = ["Run", "Settings", "Store", "check_store", "existing_store"]
