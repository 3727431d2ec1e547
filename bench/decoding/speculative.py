"""Prompt -> Completion in few forward passes: exact greedy decoding with the gold answer as a free draft.

An evaluation knows the gold answer. Here it is the *draft* of speculative decoding, and it cannot change what
a model answers: a drafted token is kept only where the model, given its own true prefix, chooses that very
token under the constraint; at the first that differs the model's choice is taken and the rest of the draft is
dropped, so no answer ever stands on a token that the model did not choose. Wrong or missing drafts cost time,
never a different answer. The answers are, token for token, those of the reference engine in float32; in
shorter formats rounding depends on the batch, and the reference does not even equal itself at another size.

Prompts are run as trees: what all of them share is run once, and a scenario's states share its description.
Source of speculative decoding: Leviathan, Kalman & Matias (2023), arXiv:2211.17192.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from math import isqrt
from typing import Any

import torch

from bench.decoding.constraint import Constraint
from bench.decoding.drafts import Drafter
from bench.decoding.measure import check_finite, clock, peak_bytes
from bench.decoding.packing import attachment, common_prefix, packs
from bench.decoding.reference import ReferenceEngine
from bench.decoding.tables import build_tables
from bench.decoding.tree import Tree
from bench.records import Completion, Counters, Prompt

CPU_PACK, GPU_PACK = 1024, 4096


@dataclass(slots=True)
class Branch:
    """One prompt's path through the tree. pending: its tokens that the model has not seen yet."""

    prompt: Prompt
    input_ids: list[int]
    path: list[int]
    pending: list[int]
    state: int = 0
    written: list[int] = field(default_factory=list)
    text: str = ""
    finish_reason: str | None = None


class SpeculativeEngine:
    """Verifies drafts, a pack of prompts a forward pass."""

    name = "speculative/1"

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        constraint: Constraint,
        *,
        pack_tokens: int | None = None,
        reference: ReferenceEngine | None = None,
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.constraint = constraint
        self.pack_tokens = pack_tokens or (CPU_PACK if model.device.type == "cpu" else GPU_PACK)
        self.reference = reference
        self.reason = "asked for"
        self.counters = Counters()
        self.tables = build_tables(constraint.regex, tokenizer, model.device)
        self.drafter = Drafter(tokenizer)
        self.pass_tokens = pass_tokens(model)
