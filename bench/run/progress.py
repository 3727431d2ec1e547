"""The growing store -> the progress of every model in one line. Also an estimate of a run's time."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Mapping

from tqdm import tqdm

from bench import models
from bench.models.machine import visible_gpus
from bench.records import ModelEntry
from bench.run.plans import Plan
from bench.store import Store
from bench.store.completions import key_of
from bench.task.prompts import as_text, turns
from bench.text import in_words, printable

ADDED = """
SELECT runs.model, count(*) FROM completions JOIN runs ON runs.number = completions.run
WHERE completions.number > ? GROUP BY runs.model ORDER BY min(completions.number)
"""
UNDER = """
SELECT DISTINCT model, settings_digest FROM runs
WHERE json_extract(settings, '$.regex') = ?
AND json_extract(settings, '$.engine') IN (SELECT value FROM json_each(?))
"""
COUNT = "SELECT count(*) FROM completions WHERE key IN (SELECT value FROM json_each(?))"
ON_CPU, ON_GPU = (0.1, 10.0), (0.05, 0.03)  # rough guess: seconds per prompt, plus seconds per GB of weights


def last_number(store: Store) -> int:
    """The row number of the newest completion; 0 in an empty store."""
    [(number,)] = store.read("SELECT ifnull(max(number), 0) FROM completions")
    return int(number)


def added_since(store: Store, number: int) -> dict[str, int]:
    """The number of completions of each model after that row, from any process."""
    return dict(store.read(ADDED, number))


def kept_for(store: Store, plan: Plan) -> dict[str, int]:
    """The number of the plan's prompts that the store has answered, by model name, for any weights of it."""
    texts = [as_text(turns(example, plan.protocol)) for example in plan.examples]
    found: dict[str, int] = {}
    for model, settings in store.read(UNDER, plan.constraint.regex, json.dumps(plan.engines)):
        [(count,)] = store.read(COUNT, json.dumps([key_of(settings, text) for text in texts]))
        found[model] = max(found.get(model, 0), count)
    return found


def kept_of(store: Store, run_id: str) -> int:
    """The number of completions that a run has put into the store."""
    query = "SELECT count(*) FROM completions JOIN runs ON runs.number = completions.run WHERE runs.id = ?"
    [(number,)] = store.read(query, run_id)
    return int(number)


def estimate(entries: Iterable[ModelEntry], prompts: int) -> float:
    """Estimated seconds for all models with this number of prompts each, from the size of their weights."""
    fixed, per_gb = ON_GPU if visible_gpus() else ON_CPU
    return sum(prompts * (fixed + per_gb * models.num_bytes(entry) / 1e9) for entry in entries)


class Listener:
    """Receives the progress of models. This listener prints to stderr, above progress bars."""

    def count(self, name: str, added: int) -> None:
        """`added` more answers of a model are stored."""

    def say(self, name: str, text: str) -> None:
        tqdm.write(printable(f"{name}: {text}"), file=sys.stderr)


LISTENER = Listener()


class Pace:
    """Repeated counts of answers by model -> one line of progress."""

    def __init__(self, prompts: int, otherwise: str = "working") -> None:
        self.prompts, self.otherwise = prompts, otherwise
        self.began = time.monotonic()
        self.first: dict[str, tuple[float, int]] = {}

    def line(self, counts: Mapping[str, int]) -> str:
        """The unfinished models, or the elapsed time if no model has an answer yet."""
        now = time.monotonic()
        parts, left = [], 0.0
        for name, count in counts.items():
            since, before = self.first.setdefault(name, (now, count))
            if count < self.prompts:
                parts.append(f"{name} {count} of {self.prompts} prompts")
                if count > before:
                    left = max(left, (now - since) / (count - before) * (self.prompts - count))
        passed = f"{int(now - self.began) // 60}:{int(now - self.began) % 60:02}"
        return ", ".join(
            [*(parts or [self.otherwise]), passed, *([f"{in_words(left)} left"] if left else [])]
        )
