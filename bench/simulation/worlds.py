"""Simulated answers with known accuracies and clustering, on the examples of a real data set.

An answer is right if a normal variable lies below the quantile of its bucket's accuracy. The variable is a
sum of parts that are shared within a scenario, a scenario and model, an example and model, or a query. So
accuracies are exact, and answers are clustered and correlated between models (a Gaussian copula).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from functools import cached_property

import numpy as np
from scipy.special import ndtri

from bench.records import BUCKETS, Accuracy, Comparison, Difference, Example, Pair, Query, Score, by_bucket
from bench.scoring.baselines import expected_accuracy
from bench.scoring.stats import clustered_accuracy, clustered_difference
from bench.scoring.verdicts import compared

Answers = np.ndarray  # (queries,) bool: True if right


@dataclass(frozen=True, slots=True)
class Clustering:
    """Shares of an answer's variance. The rest up to 1 is noise of one model on one query."""

    scenario: float  # common to all models
    model_scenario: float
    model_example: float
    query: float  # common to all models

    def correlated(self, correlation: float) -> Clustering:
        """The same clustering, with answers that correlate between models: this share of it is common."""
        scenario = self.scenario + self.model_scenario
        query = 1 - scenario - self.model_example
        own = 1 - correlation
        return Clustering(correlation * scenario, own * scenario, self.model_example, correlation * query)


CLUSTERINGS = {  # design effects at 1+: 1.2 to 1.8, like the embedded models, and 3 to 4
    "weak": Clustering(0.04, 0.04, 0.02, 0.3),
    "strong": Clustering(0.25, 0.2, 0.05, 0.2),
}


@dataclass(frozen=True)
class World:
    """The queries of some examples, as arrays of one length: (queries,)."""

    examples: Sequence[Example]
    buckets: Sequence[str] = BUCKETS  # the buckets to measure

    @cached_property
    def queries(self) -> list[tuple[Example, Query]]:
        return [(example, query) for example in self.examples for query in example.queries]

    @cached_property
    def num_ops(self) -> np.ndarray:
        return np.array([query.num_ops for _, query in self.queries])

    @cached_property
    def example(self) -> np.ndarray:
        sizes = [len(example.queries) for example in self.examples]
        return np.repeat(np.arange(len(sizes)), sizes)

    @cached_property
    def scenario(self) -> np.ndarray:
        _, codes = np.unique([example.scenario_id for example in self.examples], return_inverse=True)
        return codes[self.example]

    @cached_property
    def chances(self) -> np.ndarray:
        """The probability that a random guess is right, per query."""
        return np.array([expected_accuracy(query) for _, query in self.queries])

    @cached_property
    def places(self) -> dict[str, np.ndarray]:
        """The queries of each non-empty bucket."""
        found = by_bucket((query.num_ops, place) for place, (_, query) in enumerate(self.queries))
        return {bucket: np.array(places) for bucket, places in found.items() if bucket in self.buckets}

    @cached_property
    def baseline(self) -> dict[str, float]:
        return {bucket: float(self.chances[places].mean()) for bucket, places in self.places.items()}

    def shares(self, by_num_ops: Sequence[float]) -> dict[str, float]:
        """The true accuracy of each bucket, from the accuracies at 0 to 7 operations."""
        true = np.asarray(by_num_ops)[self.num_ops]
        return {bucket: float(true[places].mean()) for bucket, places in self.places.items()}

    def answers(
        self, rng: np.random.Generator, clustering: Clustering, models: Sequence[Sequence[float]]
    ) -> list[Answers]:
        """Simulated answers of each model. models: true accuracies at 0 to 7 operations."""
        scenarios, examples, queries = self.scenario.max() + 1, len(self.examples), len(self.num_ops)
        common = (
            np.sqrt(clustering.scenario) * rng.standard_normal(scenarios)[self.scenario]
            + np.sqrt(clustering.query) * rng.standard_normal(queries)
        )  # fmt: skip
        rest = 1 - sum(astuple(clustering))
        found = []
        for accuracies in models:
            own = (
                np.sqrt(clustering.model_scenario) * rng.standard_normal(scenarios)[self.scenario]
                + np.sqrt(clustering.model_example) * rng.standard_normal(examples)[self.example]
                + np.sqrt(rest) * rng.standard_normal(queries)
            )
            found.append(common + own < ndtri(np.asarray(accuracies))[self.num_ops])
        return found

    def guesses(self, rng: np.random.Generator) -> Answers:
        """Simulated answers of a guessing model."""
        return rng.random(len(self.chances)) < self.chances

    def measure(self, answers: Answers) -> dict[str, Accuracy]:
        """Accuracies by bucket, measured as in a run."""
        return {
            bucket: clustered_accuracy(answers[places], self.scenario[places])
            for bucket, places in self.places.items()
        }

    def scores(self, answers: Answers) -> list[Score]:
        """The same answers as records."""
        return [
            Score(example.id, example.scenario_id, query.box, query.num_ops, None if right else "other")
            for (example, query), right in zip(self.queries, answers, strict=True)
        ]

    def compare(self, pair: Pair, base: Answers, variant: Answers) -> list[Comparison]:
        """The comparisons of two models, as in a run."""
        differences: Mapping[str, Difference] = {
            bucket: clustered_difference(variant[places].astype(float) - base[places], self.scenario[places])
            for bucket, places in self.places.items()
        }
        return compared(pair, (self.measure(base), self.measure(variant)), self.baseline, differences)
