"""Command-line options -> Suite, Plan: what pytest is told, checked before anything runs."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.boxes.examples import evaluation_set, full_split
from bench.boxes.release import read_release
from bench.boxes.wording import WORDINGS
from bench.decoding import ENGINES
from bench.evaluate import Plan
from bench.prompts import PROTOCOLS
from bench.records import Example, ModelEntry, Suite

Get = Callable[[str], Any]  # pytest's config.getoption


def choose(kind: str, name: str, known: Sequence[str] | Mapping[str, object]) -> str:
    """The name, if it is one of the known ones. Raises ValueError with all of them."""
    if name not in known:
        raise ValueError(f"unknown {kind} {name!r}. Choose from {', '.join(known)}.")
    return name


def check(get: Get) -> None:
    """Raises ValueError for the first option that cannot be met."""
    choose("protocol", get("boxes_protocol"), PROTOCOLS)
    choose("engine", get("boxes_engine"), ENGINES)
    choose("version of the task", get("boxes_version"), WORDINGS)
    number_or_auto("--boxes-batch-size", get("boxes_batch_size"))
    number_or_auto("--boxes-pack-tokens", get("boxes_pack_tokens"))
    number_or_auto("--boxes-gpus-per-worker", str(get("boxes_gpus_per_worker")))
    if get("boxes_dataset") != "evaluation" or get("boxes_limit") is not None:
        plan(get)
    check_writable(Path(get("boxes_report_dir")))


def plan(get: Get) -> Plan:
    """What every model is asked."""
    found = load_dataset(
        get("boxes_dataset"),
        get("boxes_seed"),
        get("boxes_version"),
        get("boxes_dataset_password") or os.environ.get("BOXES_DATASET_PASSWORD"),
        get("boxes_limit"),
    )
    return Plan(
        tuple(found),
        PROTOCOLS[get("boxes_protocol")],
        engine=get("boxes_engine"),
        batch_size=number_or_auto("--boxes-batch-size", get("boxes_batch_size")),
        pack_tokens=number_or_auto("--boxes-pack-tokens", get("boxes_pack_tokens")),
        gpus_per_model=get("boxes_gpus_per_worker"),
        dataset=get("boxes_dataset"),
        seed=get("boxes_seed"),
    )


def load_dataset(name: str, seed: int, version: str, password: str | None, limit: int | None) -> list[Example]:
    """The examples that every model is asked. limit: keep so many, evenly spread over the set."""
    if name == "evaluation":
        found = evaluation_set(seed, version=version)
    elif name == "full":
        found = full_split(seed, version=version)
    elif name.startswith("release:"):
        found = read_release(Path(name.removeprefix("release:")), password=password)
    else:
        raise ValueError(f"unknown data set {name!r}. Choose from evaluation, full, release:PATH.zip.")
    if limit is None:
        return found
    if limit < 1:
        raise ValueError(f"a limit of {limit} leaves no example. Give a number from 1 to {len(found)}.")
    return [found[index * len(found) // limit] for index in range(min(limit, len(found)))]


def merge(suites: Sequence[Suite]) -> Suite:
    """All models and pairs of several suites. Raises ValueError if two call different models by one name."""
    models: dict[str, ModelEntry] = {}
    for suite in suites:
        for name, entry in suite.models.items():
            if models.setdefault(name, entry) != entry:
                raise ValueError(f"two suites have different models called {name!r}. Rename one of them.")
    return Suite(",".join(suite.name for suite in suites), models, tuple(pair for suite in suites for pair in suite.pairs))


def choose_models(suite: Suite, names: str) -> Suite:
    """The suite with only the pairs of some of its models; "" is all of them."""
    chosen = {choose("model", name, suite.models) for name in names.split(",") if name}
    if not chosen:
        return suite
    return dataclasses.replace(suite, pairs=tuple(p for p in suite.pairs if {p.base, p.variant} <= chosen))


def override(suite: Suite, model_args: str) -> Suite:
    """The suite with fields of all its models replaced: "dtype=bfloat16,quantization=8bit"."""
    fields = {field.name: field for field in dataclasses.fields(ModelEntry)}
    changes: dict[str, object] = {}
    for part in filter(None, model_args.split(",")):
        name, _, value = part.partition("=")
        if name in ("name", "path", "source") or not value:
            raise ValueError(f"cannot take {part!r} as a model argument. Write field=value, as in dtype=bfloat16.")
        changes[choose("model argument", name, fields)] = {"true": True, "false": False}.get(value.lower(), value)
    models = {name: dataclasses.replace(entry, **changes) for name, entry in suite.models.items()}
    return dataclasses.replace(suite, models=models)


def number_or_auto(option: str, text: str) -> int | None:
    """A positive number; None for "auto"."""
    if text == "auto":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"{option} {text!r} is neither a positive number nor auto.")
    return int(text)


def check_writable(folder: Path) -> Path:
    """The folder, made if need be. Raises ValueError if nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise ValueError(f"cannot write reports into {folder}: {error.strerror}. Name another with --boxes-report-dir.") from None

