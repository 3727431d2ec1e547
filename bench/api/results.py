"""The results of evaluate and compare: pandas tables and figures, also for notebooks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING

import pandas as pd

from bench.records import Accuracy, Evaluation, Pair, Results, Verdict
from bench.report.examples import rows
from bench.run.plans import Plan
from bench.run.session import accuracies

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Result:
    """One model's answers. plan: its examples and settings."""

    evaluation: Evaluation
    plan: Plan

    @cached_property
    def accuracies(self) -> dict[str, Accuracy]:
        """Accuracy by bucket: ops0 to ops7, and ops1plus for queries with one or more operations."""
        return accuracies(self.evaluation)

    @cached_property
    def random(self) -> dict[str, float]:
        """The exact expected accuracy of random guessing, by bucket."""
        return self.plan.baseline

    def accuracy(self) -> pd.DataFrame:
        """One row per bucket: n, accuracy, its 95% interval, the clustering of queries, random guessing."""
        return pd.DataFrame(
            [
                {
                    "bucket": bucket,
                    "n": found.n,
                    "correct": found.correct,
                    "accuracy": found.value,
                    "low": found.low,
                    "high": found.high,
                    "scenarios": found.scenarios,
                    "design_effect": found.design_effect,
                    "random": self.random[bucket],
                }
                for bucket, found in self.accuracies.items()
            ]
        ).set_index("bucket")

    def answers(self) -> pd.DataFrame:
        """One row per query: prompt, completion, gold, answer, correct, kind of error."""
        return pd.DataFrame(rows(self.evaluation, self.plan))

    def plot(self) -> Figure:
        """Accuracy by the number of operations on the box, with random guessing."""
        from bench.api.drawing import draw_model  # imports matplotlib

        return draw_model(self.evaluation.model, self.accuracies, self.random)

    def __repr__(self) -> str:
        said = [
            f"{self.accuracies[bucket].value:.1%} {words} (random {self.random[bucket]:.1%})"
            for bucket, words in (("ops0", "at 0 operations"), ("ops1plus", "above"))
            if bucket in self.accuracies
        ]
        return f"{self.evaluation.model}: {', '.join(said)}; {len(self.plan.examples)} examples"

    def _repr_html_(self) -> str:
        return f"<p>{escape(repr(self))}</p>{as_html(self.accuracy())}"


@dataclass(frozen=True, eq=False)
class Compared:
    """A pair's verdict and its figures."""

    pair: Pair
    results: Results
    base: Result
    variant: Result

    @property
    def verdict(self) -> Verdict:
        """The verdict on queries with one or more operations, or on the others if a small limit has none."""
        return self.results.verdicts[-1]

    def table(self) -> pd.DataFrame:
        """One row per bucket: accuracies, random guessing, the difference, its interval, p and outcome."""
        return pd.DataFrame(
            [
                {
                    "bucket": found.bucket,
                    "n": found.base.n,
                    "base": found.base.value,
                    "variant": found.variant.value,
                    "random": found.baseline,
                    "difference": found.difference.value,
                    "low": found.difference.low,
                    "high": found.difference.high,
                    "p": found.p_adjusted,
                    "outcome": verdict.outcome,
                }
                for verdict in self.results.verdicts
                for found in [verdict.comparison]
            ]
        ).set_index("bucket")

    def plot(self) -> Figure:
        """The paper's figure: accuracy of both models by the number of operations, with random guessing."""
        from bench.api.drawing import draw_pair  # imports matplotlib

        return draw_pair(self.pair, self.results.verdicts)

    def __repr__(self) -> str:
        return self.verdict.sentence

    def _repr_html_(self) -> str:
        return f"<p>{escape(repr(self))}</p>{as_html(self.table())}"


def as_html(table: pd.DataFrame) -> str:
    """The table as HTML, with three digits."""
    return table.to_html(float_format="{:.3f}".format)
