"""Model entry, Plan -> a ready engine and the prompts, on this machine or on a server."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from functools import partial

from bench import models
from bench.decoding import Engine
from bench.decoding.thinking import ThinkingEngine
from bench.inputs import InputError
from bench.models.chat import closing_tag
from bench.models.machine import visible_gpus
from bench.records import ModelEntry, Prompt
from bench.run.leases import gpu_leases
from bench.run.plans import Plan, package_versions

Say = Callable[[str], object]
Running = tuple[Engine, list[Prompt], dict[str, str]]  # the engine, its prompts, and the place of the run


def start(entry: ModelEntry, plan: Plan, say: Say) -> AbstractContextManager[Running]:
    """The engine of a model, here or on a server. say: is told of warnings and of waiting."""
    return (served if plan.options.engine == "server" else loaded)(entry, plan, say)


@contextmanager
def loaded(entry: ModelEntry, plan: Plan, say: Say) -> Iterator[Running]:
    """Load the model on leased GPUs, or on the CPU."""
    tokenizer = models.load_tokenizer(entry)
    prompts = plan.prompts(entry, tokenizer)
    audited = plan.audit(entry, tokenizer, prompts)
    if audited.problem:
        raise InputError(f"model {entry.name}: {audited.problem}")
    if audited.warning:
        say(audited.warning)
    tag = closing_tag(entry, tokenizer) if plan.thinks else None
    gpus = visible_gpus()
    wanted = min(plan.options.gpus_per_worker, len(gpus))
    with gpu_leases(gpus, wanted, plan.options.wait, say) if wanted else nullcontext(()) as leased:
        here = models.load(entry, [f"cuda:{index}" for index in leased] or ["cpu"], tokenizer)
        engine = plan.engine_for(here.model, here.tokenizer, [models.fingerprint(entry), package_versions()])
        if tag:
            from bench.decoding.reference import Thinker

            limit, batch_size = plan.options.think_tokens, plan.options.number("batch_size")
            thinker = Thinker(
                here.model, here.tokenizer, tag, limit, counters=engine.counters, batch_size=batch_size
            )
            engine = ThinkingEngine(engine, thinker.think, limit)
        place = {"device": here.device, "dtype": here.dtype}
        if audited.warning:
            place["warning"] = audited.warning
        yield engine, prompts, place


@contextmanager
def served(entry: ModelEntry, plan: Plan, say: Say) -> Iterator[Running]:
    """Use the model on the first server that has it."""
    from bench.decoding.client import Server
    from bench.decoding.server import ServerEngine, find

    names = models.served_names(entry)
    if (found := find(names, names, plan.options.servers)) is None:
        raise InputError(f"model {entry.name}: no server is given. Give one with --boxes-server=URL.")
    tokenizer = models.load_tokenizer(entry) if models.has_tokenizer(entry) else None
    prompts = plan.prompts(entry, tokenizer)
    tag = closing_tag(entry, tokenizer) if plan.thinks else None
    count = (lambda text: len(tokenizer(text).input_ids)) if tokenizer else None
    url, name = found
    with closing(Server(url)) as server:
        at_once = plan.options.server_concurrency
        engine: Engine
        engine = asked = ServerEngine(
            server, name, plan.constraint, prompts[0], count_tokens=count, in_flight=at_once
        )
        if tag:
            think = partial(asked.think, tag=tag, max_tokens=plan.options.think_tokens)
            engine = ThinkingEngine(asked, think, plan.options.think_tokens)
        yield engine, prompts, {"device": url}


def cannot_ask(entry: ModelEntry, plan: Plan, others: Iterable[ModelEntry] = ()) -> str | None:
    """The reason why the model cannot be asked under this plan, and what to do; None if it can.

    others: the other models of the suite, which a server may have. Raises ValueError for a mistake in the
    suite or on a server, and ConnectionError for a server that cannot be reached.
    """
    if plan.options.engine != "server":
        return models.unavailable(entry, plan.options.gpus_per_worker)
    if not plan.options.servers:
        return "its answers are not in the store. Give a server that has it with --boxes-server=URL."
    from bench.decoding.server import find

    known = {name for other in others for name in models.served_names(other)}
    names = models.served_names(entry)
    if find(names, known, plan.options.servers):
        return models.lacks_template(entry)
    return f"no server has it. Serve it as {names[0]}, and run again with --boxes-server=URL."
