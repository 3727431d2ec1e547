"""Model -> the same model, unchanged after an evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import PreTrainedModel

from bench.inputs import InputError


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
