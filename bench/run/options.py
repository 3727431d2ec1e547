"""Command line -> Options: every option with its default, filled once and checked before anything runs."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from bench import ROOT
from bench.decoding import ENGINES
from bench.inputs import InputError, shortened
from bench.records import BUCKETS
from bench.task.prompts import PROTOCOLS
from bench.task.wording import WORDINGS

METRICS = ("generation", "logprob")
TRACKERS = ("mlflow", "wandb")
IN_MEMORY = (":memory:", "off")


def option(default: Any, metavar: str | None, text: str, **more: Any) -> Any:
    """A field of Options. more: what argparse's add_argument also takes for it."""
    kind: dict[str, Any] = {"action": "store_true"} if default is False else {"metavar": metavar}
    kind |= {"type": type(default)} if type(default) in (int, float) else {}
    shown = "" if default in (None, False, "") or "default:" in text else " (default: %(default)s)"
    return field(default=default, metadata={"help": text + shown, **kind, **more})


@dataclass(frozen=True, slots=True)
class Options:
    """What a user asks for, as typed. Filled once, from pytest's options or from argparse's.

    Raises ValueError for a value that cannot be met.
    """

    suite: str = option("embedded,paper", "NAME|FILE,...", "models and pairs")
    models: str = option("", "NAME,...", "only pairs of these models (default: all)")
    model_args: str = option("", "FIELD=VALUE,...", "for every model, as dtype=bfloat16")
    buckets: str = option(",".join(BUCKETS), "NAME,...", "judge these numbers of operations")
    dataset: str = option(
        "evaluation", "SET", "evaluation (716 examples), full (11,880), or release:PATH.zip[/MEMBER]"
    )
    dataset_password: str | None = option(None, "WORD", "of the ZIP; safer in $BOXES_DATASET_PASSWORD")
    seed: int = option(0, "N", "of generated data")
    version: str = option("base", "NAME", ", ".join(WORDINGS))
    limit: int | None = option(None, "N", "ask N examples, evenly spread (default: all)", type=int)
    protocol: str = option("paper", "NAME", ", ".join(PROTOCOLS))
    think_tokens: int = option(4096, "N", "of the protocol think: tokens of thinking at most")
    metric: str = option(
        "generation", "NAME", "generation, or logprob: which clause is likeliest, without generation"
    )
    engine: str = option("auto", "NAME", "auto, speculative, reference or server")
    server: str = option(
        "",
        "URL,...",
        "OpenAI-compatible servers with the models, engine server; their key is $BOXES_SERVER_KEY",
    )
    server_concurrency: int = option(16, "N", "answers that a server is asked for at once")
    batch_size: str = option("auto", "auto|N", "prompts a batch")
    pack_tokens: str = option("auto", "auto|N", "tokens a pack, speculative engine")
    gpus_per_worker: int = option(1, "N", "GPUs a model")
    wait: float = option(86400.0, "SECONDS", "for a model or GPU that another run holds")
    store: str = option(
        str(ROOT / ".boxes" / "store.sqlite"), "PATH|:memory:|off", "default: .boxes/store.sqlite"
    )
    require: bool = option(False, None, "fail where a model cannot run here; the default skips")
    dry_run: bool = option(False, None, "show how each model would be asked, and run nothing")
    report_dir: str = option(str(ROOT / "reports"), "DIR", "default: reports")
    released_examples: bool = option(False, None, "show released data in report.html too")
    log_samples: bool = option(False, None, "write every answer to answers.jsonl in the report's folder")
    track: str = option("", "NAME", "hand figures and report to a tracker: mlflow or wandb")
    save: str | None = option(
        None, "NAME", "keep this run to compare with, and for history.html", nargs="?", const=""
    )
    compare: str | None = option(
        None, "PATH|NAME", "compare with a saved run (default: the pinned baseline)", nargs="?", const=""
    )
    compare_fail: bool = option(
        False, None, "exit with 10 if a model got worse, 11 if one could not be measured"
    )

    def __post_init__(self) -> None:
        choose("protocol", self.protocol, PROTOCOLS)
        choose("metric", self.metric, METRICS)
        check_tracker(self.track)
        choose("engine", self.engine, ENGINES)
        number_or_auto("--boxes-think-tokens", str(self.think_tokens))
        if self.metric == "logprob" and self.protocol == "think":
            raise InputError("--boxes-metric=logprob lets no model think. Leave out --boxes-protocol=think.")
        if self.metric == "logprob" and self.engine == "server":
            raise InputError(
                "--boxes-metric=logprob needs the weights here. Leave out --boxes-engine=server."
            )
        choose("version of the task", self.version, WORDINGS)
        number_or_auto("--boxes-batch-size", self.batch_size)
        number_or_auto("--boxes-pack-tokens", self.pack_tokens)
        number_or_auto("--boxes-gpus-per-worker", str(self.gpus_per_worker))
        number_or_auto("--boxes-server-concurrency", str(self.server_concurrency))
        if not self.wait >= 0:  # nan is not either
            raise InputError(f"--boxes-wait {self.wait} is no time. Give the seconds to wait, 0 or more.")
        if not 0 <= self.seed < 2**63:
            raise InputError(f"--boxes-seed {self.seed} is not from 0 to 2**63. Give another.")
        check_servers(self.engine, self.servers)
        for bucket in self.buckets.split(","):
            choose("bucket", bucket, BUCKETS)

    @property
    def asks_evaluation_set(self) -> bool:
        """Whether the sample is the one that recorded figures are of."""
        asked = (self.dataset, self.seed, self.version, self.limit, self.protocol)
        return asked == ("evaluation", 0, "base", None, "paper")

    @property
    def servers(self) -> tuple[str, ...]:
        return words(self.server)

    @property
    def in_memory(self) -> bool:
        """Whether no answer is kept for later."""
        return self.store in IN_MEMORY

    @property
    def store_path(self) -> str:
        return ":memory:" if self.in_memory else self.store


def add_options(add: Callable[..., object], prefix: str = "--boxes-", without: Collection[str] = ()) -> None:
    """Every option with its default. add: pytest's addoption or argparse's add_argument."""
    for entry in fields(Options):
        if entry.name not in without:
            flag = prefix + entry.name.replace("_", "-")
            add(flag, dest=f"boxes_{entry.name}", default=entry.default, **entry.metadata)


def options_of(parsed: Mapping[str, Any]) -> Options:
    """parsed: the values that pytest or argparse read, by dest; those left out have their default."""
    given = {entry.name: f"boxes_{entry.name}" for entry in fields(Options)}
    return Options(**{name: parsed[dest] for name, dest in given.items() if dest in parsed})


def words(text: str) -> tuple[str, ...]:
    """The names in "a,b"."""
    return tuple(filter(None, text.split(",")))


def choose(kind: str, name: str, known: Collection[str]) -> str:
    """The name, if it is one of the known ones. Raises ValueError with all of them."""
    if name not in known:
        raise InputError(f"unknown {kind} {name!r}. Choose from {', '.join(known)}.")
    return name


def check_tracker(name: str) -> None:
    """Known, and installed: otherwise the whole run would be over before it is said."""
    if name and find_spec(choose("tracker", name, TRACKERS)) is None:
        raise InputError(f"--boxes-track={name} needs {name}. Run pip install {name}.")


def number_or_auto(option: str, text: str) -> int | None:
    """A positive number; None for "auto"."""
    if text == "auto":
        return None
    if not re.fullmatch("0*[1-9][0-9]{0,17}", text):
        raise InputError(f"{option} {shortened(text)!r} is neither a positive number nor auto.")
    return int(text)


def check_servers(engine: str, urls: Sequence[str]) -> None:
    """URLs go with their engine, and hold no secret: they are recorded with the results."""
    if urls and engine != "server":
        raise InputError(f"--boxes-server is for --boxes-engine=server, not {engine}. Give both, or none.")
    if engine == "server":
        from bench.decoding.client import server_key

        server_key()
    for url in urls:
        try:
            parts = urlsplit(url)
            known = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:  # brackets or a port that are none
            known = False
        if not known:
            raise InputError(f"--boxes-server {url!r} is no URL. Write http://127.0.0.1:8000/v1.")
        if parts.username or parts.password or parts.query:
            raise InputError("--boxes-server holds a password or a query. Put a key into $BOXES_SERVER_KEY.")
