"""A model, by name or in memory -> Result. Two models -> Compared. Both have tables and figures."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import pandas as pd

from bench.inputs import InputError
from bench.models.suites import entry_of
from bench.records import Accuracy, Evaluation, Pair, Results, Suite, Verdict
from bench.report.examples import rows
from bench.run import plans
from bench.run.evaluate import evaluate as evaluate_entry
from bench.run.options import Options
from bench.run.plans import Plan, metadata_of, new_run_id
from bench.run.session import Session, accuracies
from bench.run.start import cannot_ask
from bench.scoring.verdicts import families
from bench.store import Store

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = ["n", "correct", "accuracy", "low", "high", "scenarios", "design_effect", "random"]


class Asked(TypedDict, total=False):
    """The options of an evaluation. All are optional.

    limit: number of examples, evenly spread (default: all 716). dataset, version, seed, protocol, engine,
    metric: as in pytest's --boxes options. batch_size: prompts per batch of the reference engine (default:
    depends on the device). progress: show a progress bar (default: True).
    """

    limit: int | None
    dataset: str
    version: str
    seed: int
    protocol: str
    engine: str
    metric: str
    batch_size: int | None
    progress: bool


def evaluate(
    model: Any,
    tokenizer: Any = None,
    *,
    chat: bool = False,
    name: str | None = None,
    store: str | Path | None = None,
    **asked: Unpack[Asked],
) -> Result:
    """Measure how well a model tracks entities.

    model: a downloaded hub id, a folder, a GGUF file or the name of an embedded model. It may also be a
    transformers model in memory with its tokenizer, which is not changed. chat: ask in turns, under the
    tokenizer's chat template. name: the model's name in tables. store: a file that keeps the answers of a
    model given by name. Without it nothing is written. Raises ValueError for a model or option that cannot be
    used.
    """
    plan = plan_of(**asked)
    if not isinstance(model, str | Path):
        if tokenizer is None or store is not None:
            raise InputError(
                "a model in memory needs its tokenizer and cannot use a store: evaluate(model, tokenizer). "
                "To keep its answers, save the model and give its folder."
            )
        from bench.api.memory import InMemory  # imports torch, after the checks

        return Result(*InMemory(model, tokenizer, plan, chat=chat, name=name).evaluate())
    entry = entry_of(model, chat=chat, name=name)
    if reason := cannot_ask(entry, plan):
        raise InputError(f"model {entry.name}: {reason}")
    with Store(":memory:" if store is None else store) as kept:
        return Result(evaluate_entry(entry, plan, kept, wait=0.0), plan)


def compare(base: Any, variant: Any, *, hypothesis: str = "code", **asked: Unpack[Asked]) -> Compared:
    """Whether a variant tracks entities better than its base, on the same queries.

    base, variant: a model as in evaluate, (model, tokenizer) for a model in memory, or a result of evaluate.
    Raises ValueError if the two have different examples, protocols or metrics.
    """
    results = [as_result(model, **asked) for model in (base, variant)]
    names = [result.evaluation.model for result in results]
    if names[0] == names[1]:
        raise InputError(f"both models are called {names[0]}. Evaluate each first, with its own name.")
    plan, other = (result.plan for result in results)
    if other.examples != plan.examples:
        raise InputError("base and variant were asked different examples. Evaluate both on the same.")
    for option in ("protocol", "metric"):
        if (now := getattr(other.options, option)) != (then := getattr(plan.options, option)):
            raise InputError(f"the base has {option} {then}, but the variant {now}. Evaluate both with one.")
    pair = Pair(hypothesis, *names)  # type: ignore[arg-type]  # any word may be a hypothesis
    with Store(":memory:") as unused:
        session = Session(Suite("python", {}, (pair,)), plan, unused)
        session.evaluations |= {result.evaluation.model: result.evaluation for result in results}
        found = session.results(families([pair]), metadata_of(session.suite, plan))
    return Compared(pair, found, *results)


def as_result(model: Any, **asked: Unpack[Asked]) -> Result:
    if isinstance(model, Result):
        return model
    return evaluate(*model, **asked) if isinstance(model, tuple) else evaluate(model, **asked)


def plan_of(*, batch_size: int | None = None, progress: bool = True, **asked: Any) -> Plan:
    """The plan of an evaluation. Raises ValueError for an unknown name."""
    options = Options(batch_size="auto" if batch_size is None else str(batch_size), **asked)
    if options.engine == "server":
        raise InputError("no engine 'server' from Python. Choose auto, speculative or reference.")
    return plans.plan_of(options, new_run_id(), progress)


@dataclass(frozen=True, eq=False)
class Result:
    """One model's answers. plan: its examples and settings."""

    evaluation: Evaluation
    plan: Plan

    @cached_property
    def accuracies(self) -> dict[str, Accuracy]:
        """Accuracy by bucket: ops0 to ops7, and ops1plus for queries with one or more operations."""
        return accuracies(self.evaluation)

    @property
    def random(self) -> dict[str, float]:
        """The exact expected accuracy of random guessing, by bucket."""
        return self.plan.baseline

    def accuracy(self) -> pd.DataFrame:
        """One row per bucket: n, accuracy, its 95% interval, the clustering of queries, random guessing."""
        table = [
            {"bucket": bucket, "accuracy": found.value, "random": self.random[bucket], **asdict(found)}
            for bucket, found in self.accuracies.items()
        ]
        return pd.DataFrame(table).set_index("bucket")[COLUMNS]

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
