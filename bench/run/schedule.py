"""Suite, Plan -> Evaluations: the order of models. Each is evaluated once by all processes with one store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import cached_property

from bench import models
from bench.records import Evaluation, Suite
from bench.run.evaluate import evaluate, recall
from bench.run.plans import Plan
from bench.run.progress import LISTENER
from bench.run.start import cannot_ask
from bench.store import Store


class Unavailable(Exception):
    """This machine cannot run a model. The arguments are its name, and the reason with what to do."""


class Schedule:
    """The models of a suite under one plan. A model is evaluated when it is first needed.

    wait: seconds to wait for a model that another process is evaluating. shared: the models of the whole run,
    if several workers share it. A waiting worker then begins the largest model that no process has begun.
    """

    def __init__(
        self, suite: Suite, plan: Plan, store: Store, wait: float, shared: Sequence[str] = ()
    ) -> None:
        self.suite, self.plan, self.store = suite, plan, store
        self.wait, self.shared, self.listener = wait, shared, LISTENER
        self.evaluations: dict[str, Evaluation] = {}
        self.skipped: dict[str, str] = {}
        self.failed: dict[str, Exception] = {}

    def evaluate(self, *names: str) -> list[Evaluation]:
        """The evaluations of models. While a model is locked elsewhere, evaluate the run's other models.

        Raises Unavailable for a model that cannot run here. Raises the same error again for a model that
        failed.
        """
        for name in names:
            self.check(name)
        while pending := [name for name in names if name not in self.evaluations]:
            if not self.work_ahead() and not any(map(self.attempt, pending)):
                self.attempt(pending[0], self.wait)
        return [self.evaluations[name] for name in names]

    def check(self, name: str) -> None:
        """Raises an error for a model that cannot be asked. The error is kept and not tried again."""
        if name in self.failed:
            raise self.failed[name]
        self.recall([name])
        if name in self.evaluations:
            return
        try:
            reason = self.skipped.get(name) or cannot_ask(
                self.suite.models[name], self.plan, self.suite.models.values()
            )
        except (OSError, ValueError) as error:
            self.failed[name] = error
            raise
        if reason:
            self.skipped[name] = reason
            raise Unavailable(name, reason)

    def attempt(self, name: str, patience: float | None = None) -> bool:
        """Evaluate a model. Returns False if another process still holds it after `patience` seconds."""
        try:
            self.evaluations[name] = evaluate(
                self.suite.models[name], self.plan, self.store, patience or 0.0, self.listener
            )
        except Exception as error:
            if isinstance(error, TimeoutError) and patience is None:
                return False
            self.failed[name] = error
            raise
        return True

    def work_ahead(self) -> bool:
        """Evaluate the largest model of the run that no process has begun. Returns False if there is none."""
        for name in self.largest_first:
            if name not in self.evaluations:
                with suppress(Exception):  # the model's own case reports a failure
                    self.check(name)
                    if name in self.evaluations or self.attempt(name):
                        return True
        return False

    @cached_property
    def largest_first(self) -> list[str]:
        """Shared models, largest first, so that workers end at similar times."""
        return sorted(self.shared, key=lambda name: -models.num_bytes(self.suite.models[name]))

    def recall(self, names: Iterable[str]) -> None:
        """Read complete evaluations from the store. Nothing is decoded."""
        for name in names:
            if name not in self.evaluations and name not in self.skipped:
                with suppress(ValueError):  # its files are missing, so its settings are unknown
                    if found := recall(self.suite.models[name], self.plan, self.store):
                        self.evaluations[name] = found
