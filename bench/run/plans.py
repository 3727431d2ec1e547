"""Options -> Suite, Plan: which models are compared, and what each of them is asked."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from bench import models
from bench.inputs import InputError, convert
from bench.models.suites import ModelFields, load_suite
from bench.records import Example, ModelEntry, Pair, Suite
from bench.run.evaluate import Plan
from bench.run.options import Options, choose, number_or_auto, words
from bench.store import check_store
from bench.task import datasets
from bench.task.prompts import PROTOCOLS


def find_runnable(options: Options, suite: Suite, asked: Sequence[str]) -> list[str]:
    """The models that can be asked here, as far as their files tell.

    Raises ValueError where the store, or a local model, cannot be read.
    """
    if not options.in_memory:
        check_store(options.store)
    if options.engine == "server":  # whose models need not be here
        return list(asked)
    gpus = options.gpus_per_worker
    return [name for name in asked if models.unavailable(suite.models[name], gpus) is None]


def plan_of(options: Options, run_id: str = "", progress: bool = False) -> Plan:
    """What every model is asked. Generating the data takes a second."""
    found = datasets.load(options.dataset, options.seed, options.version, options.dataset_password)
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
    """So many of the examples, evenly spread; all of them, once, where the limit is above their number."""
    if limit is None:
        return tuple(found)
    if limit < 1:
        raise InputError(f"a limit of {limit} leaves no example. Give a number from 1 to {len(found)}.")
    asked = min(limit, len(found))
    return tuple(found[index * len(found) // asked] for index in range(asked))


def load_suites(options: Options) -> list[Suite]:
    return [load_suite(name) for name in options.suite.split(",")]


def merge(suites: Sequence[Suite]) -> Suite:
    """All models and pairs of several suites. Raises ValueError if two call different models by one name."""
    models: dict[str, ModelEntry] = {}
    for suite in suites:
        for name, entry in suite.models.items():
            if models.setdefault(name, entry) != entry:
                raise InputError(f"two suites have different models called {name!r}. Rename one of them.")
    pairs = tuple(pair for suite in suites for pair in suite.pairs)
    return Suite(",".join(suite.name for suite in suites), models, pairs)


def models_of(pairs: Iterable[Pair]) -> list[str]:
    """Each base before its variants, once."""
    return list(dict.fromkeys(name for pair in pairs for name in (pair.base, pair.variant)))


def singles_of(suite: Suite, names: str = "") -> list[str]:
    """The models in no pair, of all or of the chosen ones: each is held against guessing alone."""
    chosen = [choose("model", name, suite.models) for name in words(names)] or list(suite.models)
    paired = models_of(suite.pairs)
    return [name for name in chosen if name not in paired]


def choose_models(suite: Suite, names: str) -> Suite:
    """The suite with only the pairs of some of its models; "" is all of them."""
    chosen = {choose("model", name, suite.models) for name in words(names)}
    if not chosen:
        return suite
    return dataclasses.replace(suite, pairs=tuple(p for p in suite.pairs if {p.base, p.variant} <= chosen))


def override(suite: Suite, model_args: str) -> Suite:
    """The suite with fields of all its models replaced: "dtype=bfloat16,quantization=8bit"."""
    for part in words(model_args):
        if not part.partition("=")[2]:
            raise InputError(f"cannot take {part!r} as a model argument. Write field=value: dtype=bfloat16.")
    given = dict(part.split("=", 1) for part in words(model_args))
    fields = convert(given, ModelFields, "--boxes-model-args", strict=False)
    changes = {name: getattr(fields, name) for name in given}
    models = {name: dataclasses.replace(entry, **changes) for name, entry in suite.models.items()}
    return dataclasses.replace(suite, models=models)
