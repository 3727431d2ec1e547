"""Command line -> Options: every option with its default, read once and checked before anything runs."""

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
    """A field of Options. more: further arguments of argparse's add_argument."""
    kind: dict[str, Any] = {"action": "store_true"} if default is False else {"metavar": metavar}
    kind |= {"type": type(default)} if type(default) in (int, float) else {}
    shown = "" if default in (None, False, "") or "default:" in text else " (default: %(default)s)"
    return field(default=default, metadata={"help": text + shown, **kind, **more})


@dataclass(frozen=True, slots=True)
class Options:
    """The user's options as typed, read once from pytest or argparse.

    Raises ValueError for an impossible value.
    """

    suite: str = option("embedded,paper", "NAME|FILE,...", "models and pairs")
    models: str = option("", "NAME,...", "only pairs of these models (default: all)")
    model_args: str = option("", "FIELD=VALUE,...", "settings for all models, such as dtype=bfloat16")
    buckets: str = option(",".join(BUCKETS), "NAME,...", "judge these numbers of operations")
    dataset: str = option(
        "evaluation", "SET", "evaluation (716 examples), full (11,880), or release:PATH.zip[/MEMBER]"
    )
    dataset_password: str | None = option(
        None, "WORD", "password of the ZIP; safer in $BOXES_DATASET_PASSWORD"
    )
    seed: int = option(0, "N", "seed of generated data")
    version: str = option("base", "NAME", f"version of the task: {', '.join(WORDINGS)}")
    limit: int | None = option(None, "N", "ask N examples, evenly spread (default: all)", type=int)
    protocol: str = option("paper", "NAME", f"form of prompts and answers: {', '.join(PROTOCOLS)}")
    think_tokens: int = option(4096, "N", "largest number of thinking tokens, protocol think")
    metric: str = option(
        "generation", "NAME", "generation, or logprob: the model chooses the likeliest clause"
    )
    engine: str = option("auto", "NAME", "auto, speculative, reference or server")
    server: str = option(
        "", "URL,...", "OpenAI-compatible servers with the models; their key is $BOXES_SERVER_KEY"
    )
    server_concurrency: int = option(16, "N", "number of simultaneous requests to a server")
    batch_size: str = option("auto", "auto|N", "prompts per batch, reference engine")
    pack_tokens: str = option("auto", "auto|N", "tokens per pack, speculative engine")
    gpus_per_worker: int = option(1, "N", "GPUs per model")
    wait: float = option(86400.0, "SECONDS", "longest wait for a model or GPU that another run holds")
    store: str = option(
        str(ROOT / ".boxes" / "store.sqlite"), "PATH|:memory:|off", "default: .boxes/store.sqlite"
    )
    require: bool = option(False, None, "fail if a model cannot run here (default: skip)")
    dry_run: bool = option(False, None, "show how each model would be asked, and run nothing")
    report_dir: str = option(str(ROOT / "reports"), "DIR", "default: reports")
    released_examples: bool = option(False, None, "also show released data in report.html")
    log_samples: bool = option(False, None, "write every answer to answers.jsonl in the report's folder")
    track: str = option("", "NAME", "send figures and report to a tracker: mlflow or wandb")
    save: str | None = option(
        None, "NAME", "save this run for later comparisons and for history.html", nargs="?", const=""
    )
    compare: str | None = option(
        None, "PATH|NAME", "compare with a saved run (default: the pinned baseline)", nargs="?", const=""
    )
    compare_fail: bool = option(
        False, None, "exit with 10 if a model got worse, 11 if a model could not be measured"
    )

    def __post_init__(self) -> None:
        choose("protocol", self.protocol, PROTOCOLS)
        choose("metric", self.metric, METRICS)
        check_tracker(self.track)
        choose("engine", self.engine, ENGINES)
        choose("version of the task", self.version, WORDINGS)
        for bucket in self.buckets.split(","):
            choose("bucket", bucket, BUCKETS)
        for name in ("think_tokens", "batch_size", "pack_tokens", "gpus_per_worker", "server_concurrency"):
            self.number(name)
        if self.metric == "logprob" and self.protocol == "think":
            raise InputError("--boxes-metric=logprob cannot use --boxes-protocol=think. Leave out one.")
        if self.metric == "logprob" and self.engine == "server":
            raise InputError(
                "--boxes-metric=logprob needs the weights on this machine. Leave out --boxes-engine=server."
            )
        if not self.wait >= 0:  # also refuses nan
            raise InputError(f"--boxes-wait {self.wait} is not a time. Give the seconds to wait, 0 or more.")
        if not 0 <= self.seed < 2**63:
            raise InputError(f"--boxes-seed {self.seed} is not in the range 0 to 2**63. Give another.")
        check_servers(self.engine, self.servers)

    def number(self, name: str) -> int | None:
        """A positive number; None for "auto". Raises ValueError for another text."""
        text = str(getattr(self, name))
        if text == "auto":
            return None
        if not re.fullmatch("0*[1-9][0-9]{0,17}", text):
            option = f"--boxes-{name.replace('_', '-')}"
            raise InputError(f"{option} {shortened(text)!r} is neither a positive number nor auto.")
        return int(text)

    @property
    def asks_evaluation_set(self) -> bool:
        """Whether the run asks the evaluation set, to which recorded figures belong."""
        asked = (self.dataset, self.seed, self.version, self.limit, self.protocol)
        return asked == ("evaluation", 0, "base", None, "paper")

    @property
    def servers(self) -> tuple[str, ...]:
        return words(self.server)

    @property
    def in_memory(self) -> bool:
        """Whether the answers are lost at the end of the run."""
        return self.store in IN_MEMORY

    @property
    def store_path(self) -> str:
        return ":memory:" if self.in_memory else self.store


def add_options(add: Callable[..., object], prefix: str = "--boxes-", without: Collection[str] = ()) -> None:
    """Add every option with its default. add: pytest's addoption or argparse's add_argument."""
    for entry in fields(Options):
        if entry.name not in without:
            flag = prefix + entry.name.replace("_", "-")
            add(flag, dest=f"boxes_{entry.name}", default=entry.default, **entry.metadata)


def options_of(parsed: Mapping[str, Any]) -> Options:
    """Options from values that pytest or argparse read, by dest. Missing values have their default."""
    given = {entry.name: f"boxes_{entry.name}" for entry in fields(Options)}
    for dest in given.values():
        if isinstance(parsed.get(dest), list):  # argparse drops "--", also as a value
            raise InputError(f"--{dest.replace('_', '-')}=-- has no value. Write another.")
    return Options(**{name: parsed[dest] for name, dest in given.items() if dest in parsed})


def words(text: str) -> tuple[str, ...]:
    """The names in a list such as "a,b"."""
    return tuple(filter(None, text.split(",")))


def choose(kind: str, name: str, known: Collection[str]) -> str:
    """The name, if it is known. Otherwise raises ValueError with all known names."""
    if name not in known:
        raise InputError(f"unknown {kind} {name!r}. Choose from {', '.join(known)}.")
    return name


def check_tracker(name: str) -> None:
    """Raises InputError if a tracker is unknown or not installed, before the run starts."""
    if name and find_spec(choose("tracker", name, TRACKERS)) is None:
        raise InputError(f"--boxes-track={name} needs {name}. Run pip install {name}.")


def check_servers(engine: str, urls: Sequence[str]) -> None:
    """Raises InputError for URLs without the engine server, and for secrets in URLs, which are recorded."""
    if urls and engine != "server":
        raise InputError(f"--boxes-server is for --boxes-engine=server, not {engine}. Give both, or none.")
    if engine == "server":
        from bench.decoding.client import server_key

        server_key()
    for url in urls:
        try:
            parts = urlsplit(url)
            known = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:  # invalid brackets or an invalid port
            known = False
        if not known:
            raise InputError(f"--boxes-server {url!r} is not a URL. Write http://127.0.0.1:8000/v1.")
        if parts.username or parts.password or parts.query:
            raise InputError("--boxes-server has a password or a query. Put a key into $BOXES_SERVER_KEY.")
