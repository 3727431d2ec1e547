"""Plan, store -> the preview of a dry run, an estimate of the time, and the number of answers so far."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from math import prod

from bench import models
from bench.models.files import shapes_in, weights_of
from bench.models.machine import dtype_of, visible_gpus
from bench.records import ModelEntry
from bench.run.plans import Plan
from bench.run.start import cannot_ask
from bench.store import Store
from bench.store.completions import key_of
from bench.task.prompts import as_text, gold_statement, turns
from bench.text import printable

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
SIZE, REPEATS = 2048, 3  # matrix products that measure the speed of the device


def preview(entry: ModelEntry, plan: Plan, others: Iterable[ModelEntry] = ()) -> str:
    """The preview of a model as text, or the reason why it cannot be asked. Its weights are not loaded.

    others: as in cannot_ask. Raises ValueError and OSError, as it does.
    """
    if reason := cannot_ask(entry, plan, others):
        return reason
    if plan.options.engine == "server" and not models.has_tokenizer(entry):
        return "is served and would get plain text, because its tokenizer is not on this machine"
    pinned = "" if entry.pinned else "\n  not pinned: run python -m bench pin SUITE"
    tokenizer = models.load_tokenizer(entry)
    prompts = [tokenizer(prompt.text).input_ids for prompt in plan.prompts(entry, tokenizer)]
    answers = [gold_statement(example) for example in plan.examples]
    said = [
        "  first prompt, as the model sees it:",
        *(f"    {printable(line)}" for line in tokenizer.decode(prompts[0]).split("\n")),
        f"  its right answer: {printable(answers[0])}",
        f"  estimate: {estimate(entry, prompts, tokenizer(answers, add_special_tokens=False).input_ids)}",
    ]
    return "\n".join([pinned, str(plan.audit(entry, tokenizer)), *said])


def estimate(entry: ModelEntry, prompts: Sequence[list[int]], answers: Sequence[list[int]]) -> str:
    """The time for a run's arithmetic: two operations per weight and distinct token."""
    weights = num_weights(entry)
    if weights is None:
        return "none, because the suite does not give parameters"
    tokens = distinct(prompts) + sum(map(len, answers))
    speed, device = operations_per_second(entry)
    minutes = 2 * weights * tokens / speed / 60
    return (
        f"at least {minutes:.1f} minutes on {device}: {tokens:,} distinct tokens through {weights:,} weights "
        f"at the {speed / 1e9:,.0f} GFLOP/s of its matrix products; wrong answers cost more"
    )


def num_weights(entry: ModelEntry) -> int | None:
    """The number of weights in the safetensors files, else the number in the suite."""
    files = weights_of(entry)
    if all(path.suffix == ".safetensors" for path in files):
        return sum(prod(shape) for path in files for shape in shapes_in(entry, path))
    return round(entry.parameters * 1e9) if entry.parameters else None


def distinct(sequences: Sequence[list[int]]) -> int:
    """The tokens of all sequences, with each shared prefix counted once."""
    from bench.decoding.tree.tree import shared

    ordered = sorted(sequences)
    return sum(len(ids) - shared(ids, before) for before, ids in zip([[], *ordered], ordered, strict=False))


def operations_per_second(entry: ModelEntry) -> tuple[float, str]:
    """The measured speed of a matrix product in the model's dtype, and the name of the device."""
    import torch

    on_gpu = bool(visible_gpus())
    device = "cuda" if on_gpu else "cpu"
    matrix = torch.randn(SIZE, SIZE, device=device, dtype=getattr(torch, dtype_of(entry, on_gpu)))

    def seconds() -> float:
        start = time.perf_counter()
        float((matrix @ matrix)[0, 0])  # waits for a GPU
        return time.perf_counter() - start

    best = min(seconds() for _ in range(REPEATS))
    return 2 * SIZE**3 / best, torch.cuda.get_device_name() if on_gpu else "this CPU"


def rough_seconds(entries: Iterable[ModelEntry], prompts: int) -> float:
    """Estimated seconds for all models with this number of prompts each, from the size of their weights."""
    fixed, per_gb = ON_GPU if visible_gpus() else ON_CPU
    return sum(prompts * (fixed + per_gb * models.num_bytes(entry) / 1e9) for entry in entries)


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
