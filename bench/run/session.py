"""Suite, Plan -> Evaluations -> Results: every model once, in a good order, then compared and judged."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property

from bench import models
from bench.proportions import ALPHA
from bench.records import BUCKETS, Accuracy, Comparison, Evaluation, Pair, Results, Suite, Verdict
from bench.run.evaluate import LISTENER, evaluate, recall
from bench.run.plans import Plan, models_of
from bench.run.start import cannot_ask
from bench.scoring.scores import accuracy_by_factor
from bench.scoring.sentences import name_bucket, show_p
from bench.scoring.stats import accuracy_of, agreement_p, gates
from bench.scoring.verdicts import adjust_over_pairs, compare, judge, judge_over_random
from bench.store import Store


class Unavailable(Exception):
    """This machine cannot run a model. The arguments are its name, and the reason with what to do."""


class Session:
    """The models of a suite under one plan. Each is evaluated when first needed, once per store.

    shared: the models of the whole run, if several workers share it. A worker that waits for a model then
    begins the largest model that no process has begun. cases: number of cases in the run. A case fails only
    if its finding holds over all of them (Bonferroni), so chance alone fails at most 5% of runs.
    """

    def __init__(
        self, suite: Suite, plan: Plan, store: Store, shared: Sequence[str] = (), cases: int = 1
    ) -> None:
        self.suite, self.plan, self.store = suite, plan, store
        self.shared, self.cases, self.listener = shared, cases, LISTENER
        self.evaluations: dict[str, Evaluation] = {}
        self.skipped: dict[str, str] = {}
        self.failed: dict[str, Exception] = {}
        self.measured: dict[str, dict[str, Accuracy]] = {}
        self.compared: dict[Pair, list[Comparison]] = {}

    def evaluate(self, *names: str) -> list[Evaluation]:
        """The evaluations of models. While a model is locked elsewhere, evaluate the run's other models.

        Raises Unavailable for a model that cannot run here. Raises the same error again for a model that
        failed.
        """
        for name in names:
            self.check(name)
        while pending := [name for name in names if name not in self.evaluations]:
            if not self.work_ahead() and not any(map(self.attempt, pending)):
                self.attempt(pending[0], self.plan.options.wait)
        return [self.evaluations[name] for name in names]

    def check(self, name: str) -> None:
        """Raises an error for a model that cannot be asked. The error is kept and not tried again."""
        if name in self.failed:
            raise self.failed[name]
        self.recall([name])
        if name in self.evaluations:
            return
        entries = self.suite.models
        try:
            reason = self.skipped.get(name) or cannot_ask(entries[name], self.plan, entries.values())
        except (OSError, ValueError) as error:
            self.failed[name] = error
            raise
        if reason:
            self.skipped[name] = reason
            raise Unavailable(name, reason)

    def attempt(self, name: str, patience: float | None = None) -> bool:
        """Evaluate a model. Returns False if another process still holds it after `patience` seconds."""
        entry = self.suite.models[name]
        try:
            self.evaluations[name] = evaluate(entry, self.plan, self.store, patience or 0.0, self.listener)
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

    def comparisons(self, pair: Pair) -> list[Comparison]:
        """The comparisons of a pair on every bucket, adjusted over its buckets."""
        if pair not in self.compared:
            base, variant = self.evaluate(pair.base, pair.variant)
            accuracies = self.accuracies(base), self.accuracies(variant)
            self.compared[pair] = compare(pair, base, variant, accuracies, self.plan.baseline)
        return self.compared[pair]

    def verdict(self, pair: Pair, bucket: str, family: Sequence[Pair]) -> Verdict | None:
        """The verdict on one bucket; None if it has no queries. family: the pairs tested with this one."""
        found = self.comparisons(pair)
        if bucket == "ops1plus":
            for other in family:
                with suppress(Exception):  # its own case reports it
                    self.evaluate(other.base, other.variant)
            found = next(adjusted for adjusted in self.adjusted(family) if adjusted[0].pair == pair)
        return next((judge(entry, self.cases) for entry in found if entry.bucket == bucket), None)

    def over_random(self, name: str, bucket: str) -> tuple[bool | None, str] | None:
        """Whether a model is above guessing (None: not shown), and a sentence; None without queries."""
        (evaluation,) = self.evaluate(name)
        observed = self.accuracies(evaluation)
        if bucket not in observed:
            return None
        gate = gates(observed, self.plan.baseline)[bucket]
        return judge_over_random(name, bucket, observed[bucket], gate, self.cases)

    def agreement(self, name: str, bucket: str, published: Accuracy) -> tuple[bool, str] | None:
        """Whether a model agrees with its published figure, and a sentence; None without queries."""
        (evaluation,) = self.evaluate(name)
        observed = self.accuracies(evaluation).get(bucket)
        if observed is None:
            return None
        p = min(1.0, agreement_p(observed, published) * self.cases)
        return p >= ALPHA, (
            f"{name} is right on {observed.value:.1%} of {name_bucket(bucket)} "
            f"(95% interval {observed.low:.1%} to {observed.high:.1%}), "
            f"published {published.value:.1%} ({published.low:.1%} to {published.high:.1%}), "
            f"p over {self.cases} cases {show_p(p)}"
        )

    def adjusted(self, family: Sequence[Pair]) -> list[list[Comparison]]:
        """The comparisons of a family's evaluated pairs, adjusted together, for cases and report alike.

        A pair that cannot run here is left out. One that failed counts as p = 1.
        """
        able = [pair for pair in family if not {pair.base, pair.variant} & self.skipped.keys()]
        measured = [pair for pair in family if self.has_evaluated(pair)]
        failed = len([pair for pair in able if pair not in measured])
        return adjust_over_pairs([self.comparisons(pair) for pair in measured], untested=failed)

    def results(
        self,
        families: Sequence[Sequence[Pair]],
        metadata: Mapping[str, object],
        singles: Collection[str] = (),
    ) -> Results:
        """The results after the cases have run, from all evaluated models.

        singles: models in no pair, which are compared only with random guessing.
        """
        asked = {*singles, *models_of(pair for family in families for pair in family)}
        names = [name for name in self.suite.models if name in asked]
        self.recall(names)
        compared = [entry for family in families for found in self.adjusted(family) for entry in found]
        evaluated = {name: self.evaluations[name] for name in names if name in self.evaluations}
        measured = {name: self.accuracies(evaluation) for name, evaluation in evaluated.items()}
        return Results(
            metadata,
            evaluated,
            measured,
            self.plan.baseline,
            tuple(judge(entry, self.cases) for entry in compared),
            self.skipped | {name: str(error) for name, error in self.failed.items()},
            {name: gates(found, self.plan.baseline) for name, found in measured.items()},
            asked=self.plan.asked,
            factors={
                name: accuracy_by_factor(evaluation, self.plan.examples)
                for name, evaluation in evaluated.items()
            },
            groups=self.groups(evaluated),
        )

    def groups(self, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """The groups with at least two models."""
        found: dict[str, list[str]] = {}
        for name in names:
            if name in self.suite.models and (group := self.suite.models[name].group):
                found.setdefault(group, []).append(name)
        return {group: tuple(members) for group, members in found.items() if len(members) > 1}

    def accuracies(self, evaluation: Evaluation) -> dict[str, Accuracy]:
        """The accuracy in each bucket with queries."""
        if evaluation.model not in self.measured:
            self.measured[evaluation.model] = accuracies(evaluation)
        return self.measured[evaluation.model]

    def has_evaluated(self, pair: Pair) -> bool:
        return pair.base in self.evaluations and pair.variant in self.evaluations


def accuracies(evaluation: Evaluation) -> dict[str, Accuracy]:
    """The accuracy in each bucket with queries."""
    found = {bucket: accuracy_of(evaluation.scores, bucket) for bucket in BUCKETS}
    return {bucket: accuracy for bucket, accuracy in found.items() if accuracy.n}
