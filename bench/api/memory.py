"""A model in memory, Plan -> Evaluation, with an optional time limit. Nothing is written."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from tqdm import tqdm
from transformers import PreTrainedModel

from bench import models
from bench.decoding.device import Costs
from bench.decoding.tree.engine import SpeculativeEngine
from bench.inputs import InputError
from bench.models.suites import name_of
from bench.records import Completion, Evaluation, ModelEntry, Prompt
from bench.run.evaluate import scored
from bench.run.plans import Plan
from bench.store import Settings

AT_ONCE = 16  # prompts between two checks of the time limit
GOLDEN = 0.6180339887498949  # its multiples modulo 1 are evenly spread, however many are taken


class InMemory:
    """A model in memory that can be evaluated again while its weights change. Its engine is made once.

    Raises ValueError for an unsuitable model or tokenizer.
    """

    def __init__(
        self, model: Any, tokenizer: Any, plan: Plan, *, chat: bool = False, name: str | None = None
    ) -> None:
        if plan.thinks:
            raise InputError("protocol think needs a folder or hub id. Give one, or use another protocol.")
        self.model = bare(model)
        self.plan = plan
        tokenizer = models.padded_left(copy.deepcopy(tokenizer))
        self.entry = ModelEntry(name or model_name(self.model), "in memory", chat=chat)
        self.prompts = plan.prompts(self.entry, tokenizer)
        config = self.model.config.get_text_config().to_dict()
        found = plan.audit(self.entry, tokenizer, self.prompts, config)
        if found.problem:
            raise InputError(f"model {self.entry.name}: {found.problem}")
        with untouched(self.model):
            self.engine = plan.engine_for(self.model, tokenizer)

    def evaluate(self, seconds: float | None = None) -> tuple[Evaluation, Plan]:
        """The answers within a time limit, and the plan of the examples that were asked.

        These examples are evenly spread over all. There are at least AT_ONCE of them.
        """
        if isinstance(self.engine, SpeculativeEngine):  # the value of drafts changes with the weights
            self.engine.costs = Costs(self.model)
        completions: dict[str, Completion] = {}
        with untouched(self.model):
            for batch in self.batches(seconds):
                completions |= {prompt.example_id: completion for prompt, completion in batch}
        asked = tuple(example for example in self.plan.examples if example.id in completions)
        plan = replace(self.plan, examples=asked)
        known = {"in memory": self.entry.name, "dtype": str(self.model.dtype), "chat": self.entry.chat}
        settings = Settings(known, plan.constraint, self.engine.name)
        return scored(self.entry.name, plan, settings, completions), plan

    def batches(self, seconds: float | None) -> Iterator[list[tuple[Prompt, Completion]]]:
        if seconds is None:
            with tqdm(
                total=len(self.prompts), desc=self.entry.name, unit="prompt", disable=not self.plan.progress
            ) as bar:
                for batch in self.engine.complete(self.prompts):
                    bar.update(len(batch))
                    yield batch
            return
        end = time.monotonic() + seconds
        waiting = [self.prompts[index] for index in evenly_spread(len(self.prompts))]
        while waiting:
            yield from self.engine.complete(waiting[:AT_ONCE])
            waiting = waiting[AT_ONCE:] if time.monotonic() < end else []


def evenly_spread(count: int) -> list[int]:
    """0..count-1 in an order such that every prefix is evenly spread."""
    return sorted(range(count), key=lambda index: index * GOLDEN % 1)


def model_name(model: Any) -> str:
    """The model's source, or else the name of its class."""
    return name_of(str(model.config.name_or_path).rstrip("/").rpartition("/")[2] or type(model).__name__)


def bare(model: Any) -> PreTrainedModel:
    """The transformers model inside wrappers of torch.compile, DistributedDataParallel or PEFT.

    Raises ValueError if there is none.
    """
    while not isinstance(model, PreTrainedModel):
        if hasattr(model, "get_base_model"):  # PEFT: the adapters are inside the base model's layers
            model = model.get_base_model()
        elif (inner := getattr(model, "_orig_mod", None) or getattr(model, "module", None)) is not None:
            model = inner
        else:
            raise InputError(
                f"expected a transformers model, but got {type(model).__name__}. Give an id, a folder, "
                "or the result of from_pretrained."
            )
    return model


@contextmanager
def untouched(model: PreTrainedModel) -> Iterator[None]:
    """Evaluation mode inside the block. Afterwards the modes of all modules and torch's random state are
    restored.

    Engines do not change weights, device, dtype, attention, caches and generation settings.
    """
    modes = {module: module.training for module in model.modules()}
    devices = {weight.device for weight in model.parameters() if weight.is_cuda}
    with torch.random.fork_rng(devices=devices):
        model.eval()
        try:
            yield
        finally:
            for module, training in modes.items():
                module.training = training
