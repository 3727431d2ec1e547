"""ModelEntry, Plan -> Evaluation: every stage in order for one model. The map of the package.

    example -> prompt         bench/task/prompts.py
    prompt -> completion      bench/decoding, or bench/store if it was decoded before
    completion -> answer      bench/scoring/answers.py
    answer -> scores          bench/scoring/scores.py

The later stages take only seconds: session.py compares and judges the models by bench/scoring/verdicts.py.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from dataclasses import asdict, replace
from functools import partial

from tqdm import tqdm

from bench import models
from bench.decoding import Engine
from bench.decoding.thinking import ThinkingEngine, thinking_tokens
from bench.inputs import InputError
from bench.models.chat import closing_tag
from bench.models.machine import visible_gpus
from bench.records import Answer, Completion, Evaluation, Example, ModelEntry, Prompt
from bench.run.leases import gpu_leases, model_lock
from bench.run.plans import Plan, package_versions
from bench.scoring.answers import read_answer
from bench.scoring.scores import Margins, mean_margins, read_choice, score
from bench.store import Run, Settings, Store
from bench.text import printable

Running = tuple[Engine, list[Prompt], dict[str, str]]  # the engine, its prompts, and the place of the run


class Listener:
    """Receives the progress of models. This listener prints to stderr, above progress bars.

    before: text before each message.
    """

    def __init__(self, before: str = "") -> None:
        self.before = before

    def count(self, name: str, added: int) -> None:
        """`added` more answers of a model are stored."""

    def say(self, name: str, text: str) -> None:
        tqdm.write(self.before + printable(f"{name}: {text}"), file=sys.stderr)


LISTENER = Listener()


def evaluate(
    entry: ModelEntry, plan: Plan, store: Store, wait: float, listener: Listener = LISTENER
) -> Evaluation:
    """Evaluate one model on all examples. Completions in the store are not decoded again.

    wait: seconds to wait for another process that is evaluating this model. Raises TimeoutError after
    that, and FloatingPointError for logits that are not finite.
    """
    candidates = settings_of(entry, plan)
    if (found := recall(entry, plan, store)) is None:
        say = partial(listener.say, entry.name)
        with model_lock(store.path, candidates[0].digest, timeout=wait, say=say, run=plan.run_id):
            if from_store(plan, store, candidates) is None:
                decode(entry, plan, store, candidates, listener)
        found = recall(entry, plan, store)
        assert found is not None, "every example was just decoded"
    return found


def recall(entry: ModelEntry, plan: Plan, store: Store) -> Evaluation | None:
    """The evaluation of a model if all its completions are in the store, without loading the model."""
    found = from_store(plan, store, settings_of(entry, plan))
    return scored(entry.name, plan, *found, store) if found else None


def settings_of(entry: ModelEntry, plan: Plan) -> list[Settings]:
    """The possible settings of the completions in the store: one per engine that the plan allows."""
    known = models.served_fingerprint if plan.options.engine == "server" else models.fingerprint
    fingerprint = known(entry)
    if plan.thinks and entry.think_end:
        fingerprint["think_end"] = entry.think_end
    return [Settings(fingerprint, plan.constraint, name) for name in plan.engines]


def from_store(
    plan: Plan, store: Store, candidates: list[Settings]
) -> tuple[Settings, dict[str, Completion]] | None:
    """The settings under which all examples are in the store, and the completions by example id."""
    for settings in candidates:
        keys = plan.keys(settings)
        rows = store.get(list(keys.values()))
        if len(rows) == len(keys):
            return settings, {example_id: rows[key] for example_id, key in keys.items()}
    return None


def decode(
    entry: ModelEntry, plan: Plan, store: Store, candidates: list[Settings], listener: Listener
) -> None:
    """Decode the completions that the store lacks, and store each batch."""
    start = served if plan.options.engine == "server" else loaded
    with start(entry, plan, partial(listener.say, entry.name)) as (engine, prompts, place):
        settings = next(settings for settings in candidates if settings.engine == engine.name)
        keys = plan.keys(settings)
        known = store.get(list(keys.values()))
        metadata = {**place, **package_versions(), "why": engine.reason}
        counts = {"total": len(keys), "initial": len(known)}
        with tqdm(**counts, desc=entry.name, unit="prompt", disable=not plan.progress) as bar:
            for batch in engine.complete([p for p in prompts if keys[p.example_id] not in known]):
                rows = [(keys[prompt.example_id], completion) for prompt, completion in batch]
                run = Run(plan.run_id, entry.name, settings, metadata, asdict(engine.counters))
                store.add(rows, run)
                bar.update(len(rows))
                listener.count(entry.name, len(rows))


@contextmanager
def loaded(entry: ModelEntry, plan: Plan, say: Callable[[str], object]) -> Iterator[Running]:
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
def served(entry: ModelEntry, plan: Plan, say: Callable[[str], object]) -> Iterator[Running]:
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


def scored(
    name: str,
    plan: Plan,
    settings: Settings,
    completions: Mapping[str, Completion],
    store: Store | None = None,
) -> Evaluation:
    """Read and score the completions. store: has the record of the run that made them."""
    runs = store.runs(settings) if store else []
    found = {example.id: read(completions[example.id], example, plan) for example in plan.examples}
    scores = tuple(entry for example in plan.examples for entry in score(example, found[example.id][0]))
    margins = {example_id: of_boxes for example_id, (_, of_boxes) in found.items()}
    return Evaluation(
        name,
        completions,
        scores,
        margins=mean_margins(scores, margins) if plan.scores_choices else {},
        thinking={name: thinking_tokens(done) for name, done in completions.items()} if plan.thinks else {},
        forms=Counter(answer.form for answer, _ in found.values()),
        engine=settings.engine,
        fingerprint=settings.as_dict(),
        run=runs[-1] if runs else {},
    )


def read(completion: Completion, example: Example, plan: Plan) -> tuple[Answer, Margins]:
    """The answer in a completion, and the margins of the metric logprob (empty for generation)."""
    if plan.scores_choices:
        return read_choice(completion, example)
    if plan.thinks:
        completion = replace(completion, text=completion.answer)
    return read_answer(completion, plan.constraint, plan.version, plan.num_boxes), []
