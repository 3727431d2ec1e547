"""Options -> Suite, Plan: the models to compare, and the prompts and settings for each. Also their record."""

from __future__ import annotations

import platform
import subprocess
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from bench import CHECKOUT, __version__, models
from bench.decoding import CHOICE, ENGINES, Engine, engine_name
from bench.decoding.audit import Audit, audit
from bench.inputs import InputError, convert
from bench.models.machine import visible_gpus
from bench.models.suites import ModelFields, load_suite
from bench.records import Accuracy, Example, ModelEntry, Pair, Prompt, Suite
from bench.run.options import Options, choose, words
from bench.scoring.baselines import baseline, chance
from bench.store import Settings
from bench.task.examples import digest_of_examples, load_examples
from bench.task.prompts import (
    PROTOCOLS,
    Constraint,
    Protocol,
    as_text,
    build,
    build_choices,
    constraint,
    gold_statement,
    turns,
)

PACKAGES = (  # whose versions are recorded
    "torch", "transformers", "tokenizers", "outlines", "outlines_core",
    "numpy", "scipy", "statsmodels", "pytest",
)  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """The examples for all models of a run, and the options under which the models are asked.

    run_id: name of the run in the store. progress: show a progress bar.
    """

    examples: tuple[Example, ...]
    options: Options = Options()
    run_id: str = ""
    progress: bool = False

    @property
    def asked(self) -> dict[str, object]:
        """The options that produce the same data and protocol again."""
        found = {name: getattr(self.options, name) for name in ("dataset", "seed", "protocol", "metric")}
        return found | {"version": self.version, "limit": len(self.examples)}

    @property
    def protocol(self) -> Protocol:
        return PROTOCOLS[self.options.protocol]

    @property
    def version(self) -> str:
        return self.examples[0].version

    @property
    def is_released(self) -> bool:
        """Whether the data are the paper's release. Its authors ask to keep it out of repositories."""
        return self.options.dataset.startswith("release:")

    @property
    def num_boxes(self) -> int:
        return len(self.examples[0].queries)

    @property
    def constraint(self) -> Constraint:
        return constraint(self.protocol, self.version, self.num_boxes)

    @property
    def engines(self) -> tuple[str, ...]:
        """The engines that may run, by their names in results."""
        if self.scores_choices:
            return (CHOICE,)
        names, limit = ENGINES[self.options.engine], self.options.think_tokens
        return tuple(engine_name(name, limit) for name in names) if self.thinks else names

    @property
    def scores_choices(self) -> bool:
        """Whether models choose between clauses by log-probability (metric logprob) and generate nothing."""
        return self.options.metric == "logprob"

    @property
    def thinks(self) -> bool:
        """Whether models think before they answer."""
        return self.options.protocol == "think"

    @cached_property
    def baseline(self) -> dict[str, float]:
        """Accuracy of random guessing by bucket, or of a random choice for the metric logprob."""
        return chance(self.examples) if self.scores_choices else baseline(self.examples)

    def prompts(self, entry: ModelEntry, tokenizer: Any) -> list[Prompt]:
        """The prompts of the examples for this model."""
        render = models.render_for(entry, tokenizer)
        make = build_choices if self.scores_choices else build
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

    def engine_for(self, model: Any, tokenizer: Any, identity: object = None) -> Engine:
        """The engine of a loaded model. identity: as in decoding.select.engine_for."""
        from bench.decoding.select import engine_for  # imports torch

        return engine_for(
            "logprob" if self.scores_choices else self.options.engine,
            model,
            tokenizer,
            self.constraint,
            batch_size=self.options.number("batch_size"),
            pack_tokens=self.options.number("pack_tokens"),
            identity=identity,
        )

    def keys(self, settings: Settings) -> dict[str, str]:
        """Example id -> the key of its completion in the store."""
        texts = {example.id: as_text(turns(example, self.protocol)) for example in self.examples}
        return {example_id: settings.key(text) for example_id, text in texts.items()}


def plan_of(options: Options, run_id: str = "", progress: bool = False) -> Plan:
    """The plan for these options. Generating the data takes a second."""
    found = load_examples(options.dataset, options.seed, options.version, options.dataset_password)
    kept = replace(options, dataset_password=None)  # a plan is sent to other machines
    return Plan(limited(found, options.limit), kept, run_id, progress)


def limited(found: Sequence[Example], limit: int | None) -> tuple[Example, ...]:
    """`limit` examples, evenly spread. A limit above their number gives each example once."""
    if limit is None:
        return tuple(found)
    if limit < 1:
        raise InputError(f"a limit of {limit} leaves no example. Give a number from 1 to {len(found)}.")
    asked = min(limit, len(found))
    return tuple(found[index * len(found) // asked] for index in range(asked))


def load_suites(options: Options) -> list[Suite]:
    """The suites of these options. Recorded figures are of generated answers, so logprob has none."""
    found = [load_suite(name) for name in options.suite.split(",")]
    if options.metric == "generation":
        return found
    return [replace(suite, recorded={}, recorded_baseline={}) for suite in found]


def published_of(suites: Iterable[Suite]) -> dict[str, Mapping[str, Accuracy]]:
    """Published accuracies by model and bucket: recorded figures with their own random baseline."""
    return {
        name: found for suite in suites if suite.recorded_baseline for name, found in suite.recorded.items()
    }


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


def metadata_of(suite: Suite, plan: Plan) -> dict[str, object]:
    """The metadata as a flat table for the report."""
    return {
        "run": plan.run_id,
        "suite": suite.name,
        "protocol": f"{plan.protocol.name} ({plan.protocol.digest[:12]})",
        "data set": f"{plan.options.dataset} ({digest_of_examples(plan.examples)[:12]})",
        "version of the task": plan.version,
        "seed": plan.options.seed,
        "examples": len(plan.examples),
        "queries": sum(len(example.queries) for example in plan.examples),
        "scenarios": len({example.scenario_id for example in plan.examples}),
        "metric": plan.options.metric,
        **({"tokens of thinking at most": plan.options.think_tokens} if plan.thinks else {}),
        "engine asked for": plan.options.engine,
        "device": device_of(plan),
        "git commit": git_commit(),
        "entity-tracking-bench": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        **package_versions(),
    }


def device_of(plan: Plan) -> str:
    if plan.options.engine == "server":
        return ", ".join(plan.options.servers) or "the store alone"
    return f"{len(visible_gpus())} GPUs" if visible_gpus() else "CPU"


def new_run_id() -> str:
    """The name of a run in the store and of its report folder. Names sort by time."""
    return f"{datetime.now():%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:6]}"


def package_versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def git_commit() -> str:
    """The checkout's commit, marked if files differ from it; "unknown" for an installed package."""
    if CHECKOUT is None:  # the nearest repository would belong to another project
        return "unknown"
    git = ["git", "-C", str(CHECKOUT), "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    try:
        return subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
