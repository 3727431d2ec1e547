"""Tokenizer -> seconds before the first answer, by part, with an empty and with a full cache.

The model is an untrained Llama with two layers, so the vocabulary determines the time. It runs on one thread.
"""

from __future__ import annotations

import copy
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from tabulate import tabulate
from transformers import LlamaConfig, LlamaForCausalLM

from bench.decoding.constraint import Constraint
from bench.decoding.select import SpeculativeEngine, check_once
from bench.decoding.spelling import spell
from bench.models import load_tokenizer
from bench.records import ModelEntry

LAYERS, HIDDEN = 2, 32


def startup(path: Path, asked: Constraint) -> dict[str, Any]:
    """Processor and clock seconds of each part, for JSON.

    path: a folder with a tokenizer, or a GGUF file.
    """
    torch.set_num_threads(1)
    tokenizer, loading = timed(lambda: load_tokenizer(ModelEntry("startup", str(path))))
    model = untrained(tokenizer)
    with empty_cache():
        cold, warm = (parts(model, tokenizer, asked) for _ in range(2))
    return {
        "tokenizer": str(path),
        "vocabulary": len(tokenizer),
        "loading the tokenizer": loading,
        "cold": cold,
        "warm": warm,
    }


def parts(model: Any, tokenizer: Any, asked: Constraint) -> dict[str, tuple[float, float]]:
    tokenizer = copy.copy(tokenizer)  # for which nothing is known yet in this process
    seconds: dict[str, tuple[float, float]] = {}
    _, seconds["spelling"] = timed(lambda: spell(tokenizer))
    engine, seconds["automaton"] = timed(lambda: SpeculativeEngine(model, tokenizer, asked))
    _, seconds["probe"] = timed(lambda: check_once(engine, identity="startup"))
    totals = [sum(column) for column in zip(*seconds.values(), strict=True)]
    return seconds | {"before the first answer": (totals[0], totals[1])}


def timed(step: Callable[[], Any]) -> tuple[Any, tuple[float, float]]:
    """The result of a step, and its processor and clock seconds."""
    start = time.process_time(), time.perf_counter()
    found = step()
    return found, (time.process_time() - start[0], time.perf_counter() - start[1])


def untrained(tokenizer: Any) -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=1 + max(tokenizer.get_vocab().values()), hidden_size=HIDDEN, intermediate_size=2 * HIDDEN,
        num_hidden_layers=LAYERS, num_attention_heads=4, max_position_embeddings=4096, initializer_range=0.3,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    torch.manual_seed(0)
    return LlamaForCausalLM(config).eval()


@contextmanager
def empty_cache() -> Iterator[None]:
    """Use a temporary cache folder inside the block."""
    before = os.environ.get("BOXES_CACHE")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["BOXES_CACHE"] = folder
        try:
            yield
        finally:
            os.environ.pop("BOXES_CACHE")
            if before is not None:
                os.environ["BOXES_CACHE"] = before


def as_table(found: Mapping[str, Any]) -> str:
    rows = [[part, *found["cold"][part], *found["warm"][part]] for part in found["cold"]]
    headers = ["part", "cold, processor s", "clock s", "warm, processor s", "clock s"]
    processor, clock = found["loading the tokenizer"]
    return (
        f"{found['tokenizer']}: {found['vocabulary']} tokens, loaded in {processor:.1f} s ({clock:.1f} s)\n\n"
        + tabulate(rows, headers, tablefmt="github", floatfmt=".2f")
    )
