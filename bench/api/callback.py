"""A training run -> its entity tracking accuracy every few steps, in the Trainer's own logs."""

from __future__ import annotations

import logging
import time
from typing import Any

from transformers import Trainer, TrainerCallback, TrainerState

from bench.api.evaluate import Result, plan_of
from bench.api.memory import InMemory

logger = logging.getLogger(__name__)
METRICS = {"generation": "", "logprob": "logprob_"}  # metric: prefix of its names in the logs
LOGGED = {"ops0": "0", "ops1plus": "1plus"}  # bucket: name in the logs


class BoxesCallback(TrainerCallback):
    """Logs accuracy and random guessing during training: trainer.add_callback(BoxesCallback(trainer)).

    boxes/accuracy_0 and boxes/accuracy_1plus are of generated answers. The same names with logprob_ are of
    the likeliest clauses, and rise earlier in training. They are left out if the model cannot score all
    clauses in one pass.

    The model is asked before the first step, after every `every` steps, and after the last one. Weights,
    random state and losses do not change. If logits are not finite, a warning is logged and training goes on.
    limit: the largest number of examples, evenly spread. seconds: time limit of both metrics together. No
    batch begins after it, and boxes/examples is the number of asked examples. chat, protocol: as in
    bench.evaluate.
    """

    def __init__(
        self,
        trainer: Trainer,
        *,
        every: int = 100,
        limit: int | None = 100,
        seconds: float = 30.0,
        chat: bool = False,
        protocol: str = "paper",
    ) -> None:
        if every < 1 or seconds <= 0:
            raise ValueError(f"every={every} and seconds={seconds} must be above zero.")
        self.trainer, self.every, self.seconds, self.chat = trainer, every, seconds, chat
        self.plans = {
            prefix: plan_of(metric=metric, limit=limit, protocol=protocol, progress=False)
            for metric, prefix in METRICS.items()
        }
        self.askers: dict[str, InMemory] = {}
        self.last_step = -1

    def on_train_begin(self, args: Any, state: TrainerState, control: Any, **kwargs: Any) -> None:
        """Prepare the evaluation. Raises ValueError for a model that cannot be evaluated."""
        if self.trainer.is_fsdp_enabled or self.trainer.is_deepspeed_enabled:
            raise ValueError(
                "a model whose weights are spread over processes cannot be evaluated during training. "
                "Evaluate its saved checkpoints with bench.evaluate(folder)."
            )
        if state.is_world_process_zero:
            tokenizer = self.trainer.processing_class
            if tokenizer is None:
                raise ValueError("the Trainer has no tokenizer. Give it as processing_class.")
            for prefix, plan in self.plans.items():
                try:
                    self.askers[prefix] = InMemory(self.trainer.model, tokenizer, plan, chat=self.chat)
                except ValueError:
                    if not prefix:
                        raise
            self.log(state.global_step)

    def on_step_end(self, args: Any, state: TrainerState, control: Any, **kwargs: Any) -> None:
        if state.global_step % self.every == 0:
            self.log(state.global_step)

    def on_train_end(self, args: Any, state: TrainerState, control: Any, **kwargs: Any) -> None:
        self.log(state.global_step)

    def log(self, step: int) -> None:
        """Evaluate the current model, at most once per step."""
        if not self.askers or step == self.last_step:
            return
        self.last_step, started = step, time.monotonic()
        figures: dict[str, float] = {}
        for prefix, asker in self.askers.items():
            try:
                result = Result(*asker.evaluate(self.seconds / len(self.askers)))
            except FloatingPointError:  # the training goes on, as without the callback
                logger.warning("step %d: the model's logits are not finite, so it was not asked.", step)
                return
            figures |= figures_of(result, f"boxes/{prefix}")
        figures["boxes/seconds"] = round(time.monotonic() - started, 3)
        control = self.trainer.control
        waiting = control.should_log
        self.trainer.log(figures)
        control.should_log = waiting  # otherwise the Trainer would skip its own log of this step


def figures_of(result: Result, prefix: str) -> dict[str, float]:
    """Accuracy and random guessing at 0 and at 1 or more operations, and the number of examples."""
    found = {f"{prefix}examples": float(len(result.plan.examples))}
    for bucket, name in LOGGED.items():
        if bucket in result.accuracies:
            found[f"{prefix}accuracy_{name}"] = result.accuracies[bucket].value
            found[f"{prefix}random_{name}"] = result.random[bucket]
    return found
