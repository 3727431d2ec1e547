"""The records of the benchmark, in the order in which a run makes them. Standard library only."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Literal, TypeVar

Contents = frozenset[str]
State = tuple[Contents, ...]  # contents of box 0, box 1, ...
Arm = Literal["", "with", "without"]
Value = TypeVar("Value")

MAX_NUM_OPS = 7  # the largest number of operations on one box in the paper
COMMIT = re.compile(r"[0-9a-f]{40}")  # a fixed revision
BREAK = "\n\n"  # between an answer, which has no line break, and its notes
BUCKETS = (*(f"ops{num_ops}" for num_ops in range(MAX_NUM_OPS + 1)), "ops1plus")


@cache
def in_bucket(num_ops: int, bucket: str) -> bool:
    """Whether a query with this number of operations on its box belongs to the bucket."""
    return num_ops >= 1 if bucket == "ops1plus" else bucket == f"ops{num_ops}"


def by_bucket(values: Iterable[tuple[int, Value]]) -> dict[str, list[Value]]:
    """The values in each bucket that has any. values: pairs of a number of operations and a value."""
    known = list(values)
    found = {bucket: [value for num_ops, value in known if in_bucket(num_ops, bucket)] for bucket in BUCKETS}
    return {bucket: chosen for bucket, chosen in found.items() if chosen}


@dataclass(frozen=True, slots=True)
class Operation:
    """One change of the world. A put has no source box, a remove has no target box, a move has both."""

    objects: Contents
    source: int | None = None
    target: int | None = None

    @property
    def kind(self) -> Literal["put", "move", "remove"]:
        if self.source is None:
            return "put"
        return "remove" if self.target is None else "move"

    @property
    def boxes(self) -> tuple[int, ...]:
        """The boxes whose contents it changes."""
        return tuple(box for box in (self.source, self.target) if box is not None)


@dataclass(frozen=True, slots=True)
class Scenario:
    """An initial state and the operations that follow. It is the unit of all statistics."""

    id: str
    initial: State
    operations: tuple[Operation, ...]
    version: str = "base"


LastChange = Literal["put", "move in", "move out", "remove"]


@dataclass(frozen=True, slots=True)
class Query:
    """One box of an example.

    num_ops: number of operations that changed this box so far. by_kind: the same for put, move, remove.
    earlier: earlier contents, newest first. mentioned: every object named with the box so far.
    changed_by: the numbers of the operations that changed the box, from 1. last: the kind of the last one.
    """

    box: int
    target: Contents
    num_ops: int
    earlier: tuple[Contents, ...]
    mentioned: Contents
    by_kind: tuple[int, int, int] = (0, 0, 0)
    changed_by: tuple[int, ...] = ()
    last: LastChange | None = None


@dataclass(frozen=True, slots=True)
class Example:
    """A scenario after its first `num_operations` operations, as one description.

    arm: for a minimal pair, with or without the critical sentence; "" otherwise.
    """

    scenario_id: str
    num_operations: int
    description: str
    queries: tuple[Query, ...]
    version: str = "base"
    arm: Arm = ""

    @property
    def id(self) -> str:
        return f"{self.scenario_id}-{self.num_operations}{self.arm and f'-{self.arm}'}"


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a prompt. A base model gets the contents of all turns as one text."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """The input of a model: text, tokenized with the tokenizer's own special tokens.

    drafts: for each box, possible clauses of the answer, likeliest first. An engine may compare them with the
    model's own choices. The model never sees them.
    """

    example_id: str
    scenario_id: str
    text: str
    drafts: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Completion:
    """The output of a model. Text may have notes about how the answer was made, after a BREAK.

    Notes are the log-probabilities of the clauses as JSON, or the thinking before the answer. finish_reason:
    "length" if it was cut at max_new_tokens, "unfinished" if its thinking did not end. Then there is no
    answer.
    """

    text: str
    finish_reason: Literal["stop", "length", "unfinished"]
    prompt_tokens: int
    token_ids: tuple[int, ...] = ()  # without EOS; empty if a server does not report them

    @property
    def answer(self) -> str:
        return self.text.partition(BREAK)[0]

    @property
    def notes(self) -> str:
        return self.text.partition(BREAK)[2]


@dataclass(slots=True)
class Counters:
    """The cost of decoding: passes and tokens through the model, drafts, seconds, bytes."""

    forward_passes: int = 0
    model_tokens: int = 0
    drafted_tokens: int = 0
    accepted_tokens: int = 0
    model_seconds: float = 0.0
    mask_seconds: float = 0.0
    total_seconds: float = 0.0
    peak_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """The contents of each box in a completion; None if the box could not be read.

    form: "whole", "cut" at the token limit, "malformed" against the constraint, or "unfinished" thinking.
    """

    boxes: tuple[Contents | None, ...]
    form: Literal["whole", "cut", "malformed", "unfinished"]


ErrorKind = Literal["stale", "missing", "extra", "other", "unread"]


@dataclass(frozen=True, slots=True)
class Score:
    """The score of one query. error is None if the answer is right."""

    example_id: str
    scenario_id: str
    box: int
    num_ops: int
    error: ErrorKind | None

    @property
    def correct(self) -> bool:
        return self.error is None


@dataclass(frozen=True, slots=True)
class Accuracy:
    """A proportion of n queries with its 95% interval, all in [0, 1].

    scenarios: number of scenarios of the queries; 0 if only counts are known. design_effect: ratio of the
    variance to the variance of independent queries, at least 1.
    """

    n: int
    correct: int
    low: float
    high: float
    scenarios: int = 0
    design_effect: float = 1.0

    @property
    def value(self) -> float:
        return self.correct / self.n if self.n else float("nan")


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A model of a suite file. path: a local folder, or a hub id if source is "hub".

    revision: branch or commit of a hub model. A branch such as "main" can change; a commit is fixed.
    think_end: the tag that ends its thinking, if its chat template does not show it. group: common name of
    models that differ only in seed, wording or precision. Reports show the spread between them.
    """

    name: str
    path: str
    source: Literal["local", "hub", "published"] = "local"
    revision: str | None = None
    family: str = ""
    parameters: float | None = None  # billions
    chat: bool = False
    dtype: str = "auto"
    quantization: Literal["8bit", "4bit"] | None = None
    adapter: str | None = None
    memory_gb: float | None = None
    allow_pickle: bool = False
    trust_remote_code: bool = False
    licence: str = ""
    think_end: str | None = None
    group: str = ""

    @property
    def pinned(self) -> bool:
        """Whether the entry names fixed weights: a folder, or a hub model at a commit."""
        return self.source != "hub" or COMMIT.fullmatch(self.revision or "") is not None


HYPOTHESES = {  # the built-in hypotheses; a suite may have others
    "code": "further training on code improves entity tracking",
    "math": "further training on math improves entity tracking",
    "alignment": "alignment tuning improves entity tracking",
}


@dataclass(frozen=True, slots=True)
class Pair:
    """A base model, a variant trained further from it, and the hypothesis that they test.

    source: a document that shows that the variant continues this base. series: name of pairs drawn as one
    line, such as the steps of a training or the sizes of a family.
    """

    hypothesis: str
    base: str
    variant: str
    control: Literal["positive", "negative"] | None = None
    source: str = ""
    series: str = ""

    @property
    def id(self) -> str:
        return f"{self.base}..{self.variant}"


@dataclass(frozen=True, slots=True)
class Suite:
    """Models and the pairs to compare. recorded: accuracies measured before, by model and bucket.

    recorded_baseline: the recorded accuracy of random guessing by bucket. If empty, our own is used.
    """

    name: str
    models: Mapping[str, ModelEntry]
    pairs: tuple[Pair, ...]
    recorded: Mapping[str, Mapping[str, Accuracy]] = field(default_factory=dict)
    recorded_baseline: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One model on the whole data set. completions: by example id, as in the store.

    engine: the engine, and the reason for its choice. forms: number of answers of each form. margins: for the
    metric logprob, the mean lead of the true clause over the best other clause in nats, by bucket. thinking:
    for the protocol think, the tokens spent before the answer, by example id.
    """

    model: str
    completions: Mapping[str, Completion]
    scores: tuple[Score, ...]
    forms: Mapping[str, int]
    engine: str
    fingerprint: Mapping[str, object]
    run: Mapping[str, object] = field(default_factory=dict)
    margins: Mapping[str, float] = field(default_factory=dict)
    thinking: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference of two proportions in [-1, 1], tested two-sided.

    low, high: the interval of the test. It excludes zero exactly when the test rejects zero. confidence: its
    level, 0.95 or more if the test is one of several. p: p-value of this test alone. detectable: the smallest
    difference that this sample detects with 80% power. center, se, df: estimate, standard error and degrees
    of freedom of the smoothed test. growth: growth of the variance with the gain.
    """

    value: float
    low: float
    high: float
    p: float
    detectable: float
    center: float
    se: float
    df: float
    growth: float = 0.0
    confidence: float = 0.95


@dataclass(frozen=True, slots=True)
class Gate:
    """A model's accuracy minus random guessing, tested two-sided and adjusted over the model's buckets.

    low, high: the interval. It excludes zero exactly when p_adjusted is below 5%.
    """

    value: float
    low: float
    high: float
    p: float
    p_adjusted: float

    @property
    def standing(self) -> Literal["above", "below", "not shown to differ from"]:
        """The finding on the model against random guessing."""
        if self.low <= 0 <= self.high:
            return "not shown to differ from"
        return "above" if self.low > 0 else "below"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A pair on one bucket of queries: base against variant, and both against random guessing.

    tests: number of tests in the adjustment of p_adjusted (Holm over the pairs of a hypothesis at ops1plus,
    Benjamini-Hochberg over the buckets of a pair); 1 without adjustment. paired: False if only counts are
    known (published figures). The tests then ignore pairing and clustering.
    """

    pair: Pair
    bucket: str
    base: Accuracy
    variant: Accuracy
    baseline: float
    difference: Difference
    base_over_random: Gate
    variant_over_random: Gate
    p_adjusted: float
    tests: int
    scenarios: int
    paired: bool = True


Outcome = Literal["better", "worse", "equivalent", "no difference shown", "too few scenarios"]
Case = Literal["passes", "open", "fails"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a comparison found, in a few words and in one sentence.

    case: the result of its pytest case, by the rule in verdicts.case_of. if_clustered: for figures from
    counts, pairs of an assumed design effect and the outcome under it.
    """

    outcome: Outcome
    sentence: str
    comparison: Comparison
    case: Case = "open"
    if_clustered: tuple[tuple[float, Outcome], ...] = ()


Conclusion = Literal["supported", "contradicted", "open"]


@dataclass(frozen=True, slots=True)
class Pooled:
    """The gain of a hypothesis over its pairs at ops1plus, with its 95% interval.

    groups: number of independent groups; pairs that share a model form one group. tau: standard deviation of
    the gain between groups. i_squared: the share of the variance between them. Both are None for one group.
    """

    hypothesis: str
    outcome: Conclusion
    sentence: str
    value: float
    low: float
    high: float
    p: float
    pairs: int
    groups: int
    tau: float | None = None
    i_squared: float | None = None


@dataclass(frozen=True, slots=True)
class Results:
    """All findings of a run, for every kind of report.

    accuracies, over_random, published (published accuracies of the same models): by model and bucket.
    skipped: the reason for each model that did not run. asked: the options of data and protocol, by name.
    factors: accuracy at 1+ by model, factor (as "last operation") and level (as "put").
    groups: models that differ only in seed, wording or precision.
    """

    metadata: Mapping[str, object]
    evaluations: Mapping[str, Evaluation]
    accuracies: Mapping[str, Mapping[str, Accuracy]]
    baseline: Mapping[str, float]
    verdicts: tuple[Verdict, ...]
    skipped: Mapping[str, str] = field(default_factory=dict)
    over_random: Mapping[str, Mapping[str, Gate]] = field(default_factory=dict)
    published: Mapping[str, Mapping[str, Accuracy]] = field(default_factory=dict)
    factors: Mapping[str, Mapping[str, Mapping[str, Accuracy]]] = field(default_factory=dict)
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    asked: Mapping[str, object] = field(default_factory=dict)
