"""Options -> Suite, Plan: the models to compare, and the prompts and settings for each of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bench import models
from bench.decoding import CHOICE, ENGINES, engine_name
from bench.decoding.audit import Audit, audit
from bench.decoding.constraint import Constraint, constraint
from bench.inputs import InputError, convert
from bench.models.suites import ModelFields, load_suite
from bench.records import Example, ModelEntry, Pair, Prompt, Suite
from bench.run.options import Options, choose, number_or_auto, words
from bench.scoring.baselines import baseline
from bench.scoring.choices import chance
from bench.store import Settings, check_store
from bench.task.examples import load_examples
from bench.task.prompts import PROTOCOLS, Protocol, as_text, build, build_choices, gold_statement, turns


@dataclass(frozen=True, slots=True)
class Plan:
    """The examples and settings for all models of a run.

    metric: "generation", or "logprob" for a choice between clauses by log-probability. think_tokens: limit of
    tokens before the answer, for the protocol "think". batch_size, pack_tokens: None for the device's
    default. servers: URLs for the engine "server". in_flight: number of simultaneous requests to one server.
    wait: seconds to wait for GPUs. run_id: name of the run in the store. progress: show a progress bar.
    """

    examples: tuple[Example, ...]
    protocol: Protocol
    engine: str = "auto"
    metric: str = "generation"
    think_tokens: int = 4096
    batch_size: int | None = None
    pack_tokens: int | None = None
    gpus_per_model: int = 1
    wait: float = 86400.0
    servers: tuple[str, ...] = ()
    in_flight: int = 16
    dataset: str = "evaluation"
    seed: int = 0
    run_id: str = ""
    progress: bool = False

    @property
    def asked(self) -> dict[str, object]:
        """The options that produce the same data and protocol again."""
        return {
            "dataset": self.dataset,
            "seed": self.seed,
            "version": self.version,
            "limit": len(self.examples),
            "protocol": self.protocol.name,
            "metric": self.metric,
        }

    @property
    def version(self) -> str:
        return self.examples[0].version

    @property
    def num_boxes(self) -> int:
        return len(self.examples[0].queries)

    @property
    def constraint(self) -> Constraint:
        return constraint(self.protocol, self.version, self.num_boxes)

    @property
    def engines(self) -> tuple[str, ...]:
        """The engines that may run, by their names in results."""
        if self.metric == "logprob":
            return (CHOICE,)
        names = ENGINES[self.engine]
        return tuple(engine_name(name, self.think_tokens) for name in names) if self.thinks else names

    @property
    def thinks(self) -> bool:
        """Whether models think before they answer."""
        return self.protocol.name == "think"

    @property
    def baseline(self) -> dict[str, float]:
        """Accuracy of random guessing by bucket, or of a random choice for the metric logprob."""
        return chance(self.examples) if self.metric == "logprob" else baseline(self.examples)

    def prompts(self, entry: ModelEntry, tokenizer: Any) -> list[Prompt]:
        """The prompts of the examples for this model."""
        render = models.render_for(entry, tokenizer)
        make = build_choices if self.metric == "logprob" else build
        return [make(example, self.protocol, render) for example in self.examples]

    def audit(
        self,
        entry: ModelEntry,
        tokenizer: Any,
        prompts: Sequence[Prompt] | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> Audit:
        """Check the model's prompts, and whether it can write the right answers. This needs no weights.

        prompts: this model's prompts, if known. config: the config of a model in memory. For other models, it
        is read from their folder.
        """
        golds = [gold_statement(example) for example in self.examples]
        prompts = self.prompts(entry, tokenizer) if prompts is None else prompts
        return audit(entry, tokenizer, prompts, golds, self.constraint, config)

    def keys(self, settings: Settings) -> dict[str, str]:
        """Example id -> the key of its completion in the store."""
        texts = {example.id: as_text(turns(example, self.protocol)) for example in self.examples}
        return {example_id: settings.key(text) for example_id, text in texts.items()}


def find_runnable(options: Options, suite: Suite, asked: Sequence[str]) -> list[str]:
    """The models that can be asked here, judged by their files.

    Raises ValueError if the store, or a local model, cannot be read.
    """
    if not options.in_memory:
        check_store(options.store)
    if options.engine == "server":  # its models are not on this machine
        return list(asked)
    gpus = options.gpus_per_worker
    return [name for name in asked if models.unavailable(suite.models[name], gpus) is None]


def plan_of(options: Options, run_id: str = "", progress: bool = False) -> Plan:
    """The plan for these options. Generating the data takes a second."""
    found = load_examples(options.dataset, options.seed, options.version, options.dataset_password)
    return Plan(
        limited(found, options.limit),
        PROTOCOLS[options.protocol],
        engine=options.engine,
        metric=options.metric,
        think_tokens=options.think_tokens,
        batch_size=number_or_auto("--boxes-batch-size", options.batch_size),
        pack_tokens=number_or_auto("--boxes-pack-tokens", options.pack_tokens),
        gpus_per_model=options.gpus_per_worker,
        wait=options.wait,
        servers=options.servers,
        in_flight=options.server_concurrency,
        dataset=options.dataset,
        seed=options.seed,
        run_id=run_id,
        progress=progress,
    )


def limited(found: Sequence[Example], limit: int | None) -> tuple[Example, ...]:
    """`limit` examples, evenly spread. A limit above their number gives each example once."""
    if limit is None:
        return tuple(found)
    if limit < 1:
        raise InputError(f"a limit of {limit} leaves no example. Give a number from 1 to {len(found)}.")
    asked = min(limit, len(found))
    return tuple(found[index * len(found) // asked] for index in range(asked))


def load_suites(options: Options) -> list[Suite]:
    return [load_suite(name) for name in options.suite.split(",")]


def merge(suites: Sequence[Suite]) -> Suite:
    """All models and pairs of several suites. Raises ValueError if one name means two different models."""
    models: dict[str, ModelEntry] = {}
    for suite in suites:
        for name, entry in suite.models.items():
            if models.setdefault(name, entry) != entry:
                raise InputError(f"two suites have different models called {name!r}. Rename one of them.")
    pairs = tuple(pair for suite in suites for pair in suite.pairs)
    return Suite(",".join(suite.name for suite in suites), models, pairs)


def models_of(pairs: Iterable[Pair]) -> list[str]:
    """All models once, each base before its variants."""
    return list(dict.fromkeys(name for pair in pairs for name in (pair.base, pair.variant)))


def singles_of(suite: Suite, names: str = "") -> list[str]:
    """The models in no pair, among all or the chosen models. They are compared only with guessing."""
    chosen = [choose("model", name, suite.models) for name in words(names)] or list(suite.models)
    paired = models_of(suite.pairs)
    return [name for name in chosen if name not in paired]


def choose_models(suite: Suite, names: str) -> Suite:
    """The suite with only the pairs of the named models; "" means all models."""
    chosen = {choose("model", name, suite.models) for name in words(names)}
    if not chosen:
        return suite
    return replace(suite, pairs=tuple(p for p in suite.pairs if {p.base, p.variant} <= chosen))


def override(suite: Suite, model_args: str) -> Suite:
    """The suite with fields replaced in all models, from a text like "dtype=bfloat16,quantization=8bit"."""
    for part in words(model_args):
        if not part.partition("=")[2]:
            raise InputError(f"cannot take {part!r} as a model argument. Write field=value: dtype=bfloat16.")
    given = dict(part.split("=", 1) for part in words(model_args))
    fields = convert(given, ModelFields, "--boxes-model-args", strict=False)
    changes = {name: getattr(fields, name) for name in given}
    models = {name: replace(entry, **changes) for name, entry in suite.models.items()}
    return replace(suite, models=models)
