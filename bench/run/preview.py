"""Model entry, Plan -> the text of a dry run: audit, first prompt, its right answer, estimated time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from math import prod

from bench import models
from bench.models.files import shapes_in, weights_of
from bench.models.machine import dtype_of, visible_gpus
from bench.records import ModelEntry
from bench.run.plans import Plan
from bench.task.prompts import gold_statement
from bench.text import printable

SIZE = 2048  # size of the matrices that measure the speed of the device
REPEATS = 3


def preview(entry: ModelEntry, plan: Plan) -> str:
    """The preview of a model as text. Its weights are not loaded. Raises ValueError if it cannot be asked."""
    tokenizer = models.load_tokenizer(entry)
    prompts = [tokenizer(prompt.text).input_ids for prompt in plan.prompts(entry, tokenizer)]
    answers = [gold_statement(example) for example in plan.examples]
    said = [
        "  first prompt, as the model sees it:",
        *(f"    {printable(line)}" for line in tokenizer.decode(prompts[0]).split("\n")),
        f"  its right answer: {printable(answers[0])}",
        f"  estimate: {estimate(entry, prompts, tokenizer(answers, add_special_tokens=False).input_ids)}",
    ]
    return "\n".join([str(plan.audit(entry, tokenizer)), *said])


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
