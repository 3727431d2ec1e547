"""Command-line options -> Suite, Plan: what pytest is told, checked before anything runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from bench import ROOT, models
from bench.decoding import ENGINES
from bench.inputs import InputError, convert
from bench.models.suites import ModelFields
from bench.records import BUCKETS, Example, ModelEntry, Pair, Suite
from bench.run.evaluate import Plan
from bench.store import check_store
from bench.task import datasets
from bench.task.prompts import PROTOCOLS
from bench.task.wording import WORDINGS

METRICS = ("generation", "logprob")
IN_MEMORY = (":memory:", "off")
Get = Callable[[str], Any]  # pytest's config.getoption


def choose(kind: str, name: str, known: Sequence[str] | Mapping[str, object]) -> str:
    """The name, if it is one of the known ones. Raises ValueError with all of them."""
    if name not in known:
        raise InputError(f"unknown {kind} {name!r}. Choose from {', '.join(known)}.")
    return name


def add_options(add: Callable[..., None]) -> None:
    """Every option with its default. add: pytest's addoption."""
    add(
        "--boxes-suite",
        default="embedded,paper",
        metavar="NAME|FILE,...",
        help="models and pairs (default: %(default)s)",
    )
    add("--boxes-models", default="", metavar="NAME,...", help="only pairs of these models (default: all)")
    add(
        "--boxes-model-args", default="", metavar="FIELD=VALUE,...", help="for every model, as dtype=bfloat16"
    )
    add("--boxes-buckets", default=",".join(BUCKETS), metavar="NAME,...", help="default: %(default)s")
    add(
        "--boxes-dataset",
        default="evaluation",
        metavar="SET",
        help="evaluation (716 examples), full (11,880), or release:PATH.zip[/MEMBER] (default: %(default)s)",
    )
    add("--boxes-dataset-password", metavar="WORD", help="of the ZIP; safer in $BOXES_DATASET_PASSWORD")
    add("--boxes-seed", type=int, default=0, metavar="N", help="of generated data (default: %(default)s)")
    add(
        "--boxes-version",
        default="base",
        metavar="NAME",
        help=f"{', '.join(WORDINGS)} (default: %(default)s)",
    )
    add("--boxes-limit", type=int, metavar="N", help="ask N examples, evenly spread (default: all)")
    add(
        "--boxes-protocol",
        default="paper",
        metavar="NAME",
        help=f"{' or '.join(PROTOCOLS)} (default: %(default)s)",
    )
    add(
        "--boxes-metric",
        default="generation",
        metavar="NAME",
        help="generation, or logprob: which clause is likeliest, without generation (default: %(default)s)",
    )
    add(
        "--boxes-engine",
        default="auto",
        metavar="NAME",
        help="auto, speculative, reference or server (default: %(default)s)",
    )
    add(
        "--boxes-server",
        default="",
        metavar="URL,...",
        help="OpenAI-compatible servers of the models, engine server; a key is read from $BOXES_SERVER_KEY",
    )
    add(
        "--boxes-server-concurrency",
        type=int,
        default=16,
        metavar="N",
        help="answers that a server is asked for at once (default: %(default)s)",
    )
    add("--boxes-batch-size", default="auto", metavar="auto|N", help="prompts a batch (default: %(default)s)")
    add(
        "--boxes-pack-tokens",
        default="auto",
        metavar="auto|N",
        help="tokens a pack, speculative engine (default: %(default)s)",
    )
    add(
        "--boxes-gpus-per-worker",
        type=int,
        default=1,
        metavar="N",
        help="GPUs a model (default: %(default)s)",
    )
    add(
        "--boxes-wait",
        type=float,
        default=86400.0,
        metavar="SECONDS",
        help="for a model or GPU that another run holds (default: %(default)s)",
    )
    add(
        "--boxes-store",
        default=str(ROOT / ".boxes" / "store.sqlite"),
        metavar="PATH|:memory:|off",
        help="default: .boxes/store.sqlite",
    )
    add("--boxes-require", action="store_true", help="fail where a model cannot run here; the default skips")
    add("--boxes-dry-run", action="store_true", help="show how each model would be asked, and run nothing")
    add("--boxes-report-dir", default=str(ROOT / "reports"), metavar="DIR", help="default: reports")
    add("--boxes-released-examples", action="store_true", help="show released data in report.html too")


def check(get: Get) -> None:
    """Raises ValueError for the first option that cannot be met."""
    choose("protocol", get("boxes_protocol"), PROTOCOLS)
    choose("metric", get("boxes_metric"), METRICS)
    choose("engine", get("boxes_engine"), ENGINES)
    if get("boxes_metric") == "logprob" and get("boxes_engine") == "server":
        raise InputError("--boxes-metric=logprob needs the weights here. Leave out --boxes-engine=server.")
    choose("version of the task", get("boxes_version"), WORDINGS)
    number_or_auto("--boxes-batch-size", get("boxes_batch_size"))
    number_or_auto("--boxes-pack-tokens", get("boxes_pack_tokens"))
    number_or_auto("--boxes-gpus-per-worker", str(get("boxes_gpus_per_worker")))
    number_or_auto("--boxes-server-concurrency", str(get("boxes_server_concurrency")))
    check_servers(get("boxes_engine"), get("boxes_server"))


def check_servers(engine: str, urls: str) -> None:
    """URLs go with their engine, and hold no secret: they are recorded with the results."""
    if urls and engine != "server":
        raise InputError(f"--boxes-server is for --boxes-engine=server, not {engine}. Give both, or none.")
    if engine == "server":
        from bench.decoding.client import server_key

        server_key()
    for url in filter(None, urls.split(",")):
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError(f"--boxes-server {url!r} is no URL. Write http://127.0.0.1:8000/v1.")
        if parts.username or parts.password or parts.query:
            raise InputError("--boxes-server holds a password or a query. Put a key into $BOXES_SERVER_KEY.")


def check_places(suite: Suite, pairs: Sequence[Pair], get: Get) -> None:
    """Raises ValueError where the store, or a local model that is to be asked, cannot be read."""
    if get("boxes_wait") < 0:
        raise InputError(f"--boxes-wait {get('boxes_wait')} is below zero. Give the seconds to wait.")
    if get("boxes_store") not in IN_MEMORY:
        check_store(get("boxes_store"))
    if get("boxes_engine") == "server":
        return  # models need not be here
    for pair in pairs:
        for name in (pair.base, pair.variant):
            models.unavailable(suite.models[name])


def plan(get: Get) -> Plan:
    """What every model is asked."""
    found = datasets.load(
        get("boxes_dataset"), get("boxes_seed"), get("boxes_version"), get("boxes_dataset_password")
    )
    return Plan(
        limited(found, get("boxes_limit")),
        PROTOCOLS[get("boxes_protocol")],
        engine=get("boxes_engine"),
        metric=get("boxes_metric"),
        batch_size=number_or_auto("--boxes-batch-size", get("boxes_batch_size")),
        pack_tokens=number_or_auto("--boxes-pack-tokens", get("boxes_pack_tokens")),
        gpus_per_model=get("boxes_gpus_per_worker"),
        wait=get("boxes_wait"),
        servers=tuple(filter(None, get("boxes_server").split(","))),
        in_flight=get("boxes_server_concurrency"),
        dataset=get("boxes_dataset"),
        seed=get("boxes_seed"),
    )


def limited(found: Sequence[Example], limit: int | None) -> tuple[Example, ...]:
    """So many of the examples, evenly spread; all of them, once, where the limit is above their number."""
    if limit is None:
        return tuple(found)
    if limit < 1:
        raise InputError(f"a limit of {limit} leaves no example. Give a number from 1 to {len(found)}.")
    asked = min(limit, len(found))
    return tuple(found[index * len(found) // asked] for index in range(asked))


def merge(suites: Sequence[Suite]) -> Suite:
    """All models and pairs of several suites. Raises ValueError if two call different models by one name."""
    models: dict[str, ModelEntry] = {}
    for suite in suites:
        for name, entry in suite.models.items():
            if models.setdefault(name, entry) != entry:
                raise InputError(f"two suites have different models called {name!r}. Rename one of them.")
    return Suite(
        ",".join(suite.name for suite in suites),
        models,
        tuple(pair for suite in suites for pair in suite.pairs),
    )


def choose_models(suite: Suite, names: str) -> Suite:
    """The suite with only the pairs of some of its models; "" is all of them."""
    chosen = {choose("model", name, suite.models) for name in names.split(",") if name}
    if not chosen:
        return suite
    return dataclasses.replace(suite, pairs=tuple(p for p in suite.pairs if {p.base, p.variant} <= chosen))


def override(suite: Suite, model_args: str) -> Suite:
    """The suite with fields of all its models replaced: "dtype=bfloat16,quantization=8bit"."""
    given = dict(part.split("=", 1) for part in model_args.split(",") if "=" in part)
    for part in filter(None, model_args.split(",")):
        if not part.partition("=")[2]:
            raise InputError(f"cannot take {part!r} as a model argument. Write field=value: dtype=bfloat16.")
    fields = convert(given, ModelFields, "--boxes-model-args", strict=False)
    changes = {name: getattr(fields, name) for name in given}
    models = {name: dataclasses.replace(entry, **changes) for name, entry in suite.models.items()}
    return dataclasses.replace(suite, models=models)


def number_or_auto(option: str, text: str) -> int | None:
    """A positive number; None for "auto"."""
    if text == "auto":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise InputError(f"{option} {text!r} is neither a positive number nor auto.")
    return int(text)
