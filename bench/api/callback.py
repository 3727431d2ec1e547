"""A training run -> its curve of entity tracking: accuracy every few steps, in the Trainer's own logs."""

from __future__ import annotations

import time
from typing import Any

from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from bench.api.evaluate import plan_of
from bench.api.memory import InMemory
from bench.api.results import Result

LOGGED = {"ops0": "0", "ops1plus": "1plus"}  # bucket: its name in the logs


class BoxesCallback(TrainerCallback):
    """Logs boxes/accuracy_0 and boxes/accuracy_1plus with random guessing beside them.

    `trainer.add_callback(BoxesCallback(trainer, every=100))`. The model is asked before the first step, every
    so many steps, and after the last one. Neither weights nor random state change: the losses stay the same.
    limit: so many examples at most, evenly spread. seconds: no new batch begins after them, so fewer examples
    may be asked; boxes/examples says how many. chat, protocol: as bench.evaluate takes them.
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
            raise ValueError(f"every {every} steps for {seconds} seconds cannot be. Give numbers above zero.")
        self.trainer, self.every, self.seconds, self.chat = trainer, every, seconds, chat
        self.plan = plan_of(limit=limit, protocol=protocol, progress=False)
        self.asker: InMemory | None = None
        self.last_step = -1

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Raises ValueError for a model that cannot be asked."""
        if self.trainer.is_fsdp_enabled or self.trainer.is_deepspeed_enabled:
            raise ValueError(
                "a model whose weights are spread over processes cannot be asked during training. "
                "Evaluate its saved checkpoints with bench.evaluate(folder)."
            )
        if state.is_world_process_zero:
            tokenizer = self.trainer.processing_class
            if tokenizer is None:
                raise ValueError("the Trainer has no tokenizer. Give it as processing_class.")
            self.asker = InMemory(self.trainer.model, tokenizer, self.plan, chat=self.chat)
            self.log(state.global_step)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if state.global_step % self.every == 0:
            self.log(state.global_step)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.log(state.global_step)

    def log(self, step: int) -> None:
        """Ask the model as it is now, once a step."""
        if self.asker is None or step == self.last_step:
            return
        self.last_step, started = step, time.monotonic()
        result = Result(*self.asker.evaluate(self.seconds))
        figures = {
            f"boxes/{what}_{name}": value
            for bucket, name in LOGGED.items()
            if bucket in result.accuracies
            for what, value in (
                ("accuracy", result.accuracies[bucket].value),
                ("random", result.random[bucket]),
            )
        }
        figures |= {
            "boxes/examples": len(result.plan.examples),
            "boxes/seconds": round(time.monotonic() - started, 3),
        }
        control = self.trainer.control
        waiting = control.should_log
        self.trainer.log(figures)
        control.should_log = waiting  # else the Trainer would take its own log of this step for done
