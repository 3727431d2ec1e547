"""ModelEntry, Plan -> Evaluation: every stage in order for one model. The map of the package.

    example -> prompt         prompts.build
    prompt -> completion      decoding, or the store where it has been decoded before
    completion -> answer      answers.read_answer
    answer -> scores          scoring.score

What comes after (accuracy, comparison, verdict, report) is recomputed in seconds: see session.py.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from tqdm import tqdm

from bench import models
from bench.decoding import CHOICE, engine_for, engines_of
from bench.decoding.audit import Audit
from bench.decoding.audit import audit as audit_model
from bench.decoding.constraint import Constraint, constraint
from bench.decoding.engine import Engine
from bench.decoding.notes import split_notes
from bench.decoding.thinking import ThinkingEngine, engine_name, thinking_tokens
from bench.inputs import InputError
from bench.models.gpus import visible_gpus
from bench.models.thinking import closing_tag
from bench.records import Answer, Completion, Evaluation, Example, ModelEntry, Prompt
from bench.run.environment import package_versions
from bench.run.leases import gpu_leases, model_lock
from bench.scoring.answers import read_answer
from bench.scoring.baselines import baseline
from bench.scoring.choices import Margins, chance, mean_margins, read_choice
from bench.scoring.scores import score
from bench.store import Run, Settings, Store
from bench.task.choices import build_choices
from bench.task.prompts import Protocol, as_text, build, gold_statement, turns
from bench.text import printable


@dataclass(frozen=True, slots=True)
class Plan:
    """What every model of a run is asked, and how.

    metric: "generation", or "logprob" for a choice between clauses by their log-probability. think_tokens: at
    most, before the answer, where the protocol is "think". batch_size, pack_tokens: None for what suits the
    device. servers: URLs for the engine "server", in_flight: how many answers it asks one for at once.
    wait: seconds to wait for GPUs. run_id names the run in the store; progress shows a bar.
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
        """The options that make the same data and protocol again."""
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
        """The engines that may run, as results name them."""
        if self.metric == "logprob":
            return (CHOICE,)
        names = engines_of(self.engine)
        return tuple(engine_name(name, self.think_tokens) for name in names) if self.thinks else names

    @property
    def thinks(self) -> bool:
        """Whether models think before they answer."""
        return self.protocol.name == "think"

    @property
    def baseline(self) -> dict[str, float]:
        """Random guessing, or where the metric is logprob a random choice, by bucket."""
        return chance(self.examples) if self.metric == "logprob" else baseline(self.examples)

    def prompts(self, entry: ModelEntry, tokenizer: Any) -> list[Prompt]:
        """The examples as this model is asked."""
        render = models.render_for(entry, tokenizer)
        make = build_choices if self.metric == "logprob" else build
        return [make(example, self.protocol, render) for example in self.examples]

    def read(self, completion: Completion, example: Example) -> tuple[Answer, Margins]:
        """What a completion says of each box; the margins are of the metric logprob alone."""
        if self.metric == "logprob":
            return read_choice(completion, example)
        if self.thinks:
            completion = replace(completion, text=split_notes(completion.text)[0])
        return read_answer(completion, self.constraint, self.version, self.num_boxes), []

    def keys(self, settings: Settings) -> dict[str, str]:
        """Example id -> the key of its completion in the store."""
        texts = {example.id: as_text(turns(example, self.protocol)) for example in self.examples}
        return {example_id: settings.key(text) for example_id, text in texts.items()}


Running = tuple[Engine, list[Prompt], dict[str, str]]  # what answers, all that is asked, where it runs


def unavailable(entry: ModelEntry, plan: Plan, others: Iterable[ModelEntry] = ()) -> str | None:
    """Why the model cannot be asked under this plan and what to do about it; None if it can.

    others: the suite's, one of which a server may have. Raises ValueError where the suite or a server is at
    fault, ConnectionError for a server that cannot be reached.
    """
    if plan.engine != "server":
        return models.unavailable(entry, plan.gpus_per_model)
    if not plan.servers:
        return "its answers are not in the store. Name a server that has it with --boxes-server=URL."
    from bench.decoding.server import find

    known = {name for other in others for name in models.served_names(other)}
    names = models.served_names(entry)
    if find(names, known, plan.servers):
        return models.lacks_template(entry)
    return f"no server has it. Serve it as {names[0]}, and run again with --boxes-server=URL."


class Listener:
    """Hears how far a model is. This one prints to stderr, above the bars."""

    def count(self, name: str, added: int) -> None:
        """So many more answers of a model are kept."""

    def say(self, name: str, text: str) -> None:
        tqdm.write(printable(f"{name}: {text}"), file=sys.stderr)


LISTENER = Listener()


def evaluate(
    entry: ModelEntry, plan: Plan, store: Store, wait: float, listener: Listener = LISTENER
) -> Evaluation:
    """One model on all examples; what the store has is not decoded again, whoever made it.

    wait: seconds to wait for another process that is evaluating this model. Raises TimeoutError after
    that, FloatingPointError for logits that are not finite.
    """
    candidates = settings_of(entry, plan)
    if (found := recall(entry, plan, store)) is None:
        say = partial(listener.say, entry.name)
        with model_lock(store.path, candidates[0].digest, timeout=wait, say=say):
            if from_store(plan, store, candidates) is None:
                decode(entry, plan, store, candidates, listener)
        found = recall(entry, plan, store)
        assert found is not None, "every example was just decoded"
    return found


def recall(entry: ModelEntry, plan: Plan, store: Store) -> Evaluation | None:
    """The evaluation of a model whose completions are all in the store; nothing is loaded."""
    found = from_store(plan, store, settings_of(entry, plan))
    return read_and_score(entry, plan, store, *found) if found else None


def settings_of(entry: ModelEntry, plan: Plan) -> list[Settings]:
    """What the completions may be kept under: one for each engine that the plan allows."""
    known = models.served_fingerprint if plan.engine == "server" else models.fingerprint
    fingerprint = known(entry)
    if plan.thinks and entry.think_end:
        fingerprint["think_end"] = entry.think_end
    return [Settings(fingerprint, plan.constraint, name) for name in plan.engines]


def from_store(
    plan: Plan, store: Store, candidates: list[Settings]
) -> tuple[Settings, dict[str, Completion]] | None:
    """The settings under which all examples have been completed, and the completions by example id."""
    for settings in candidates:
        keys = plan.keys(settings)
        rows = store.get(list(keys.values()))
        if len(rows) == len(keys):
            return settings, {example_id: rows[key] for example_id, key in keys.items()}
    return None


def decode(
    entry: ModelEntry, plan: Plan, store: Store, candidates: list[Settings], listener: Listener
) -> None:
    """Complete what the store lacks, and keep each batch as it comes."""
    start = served if plan.engine == "server" else loaded
    with start(entry, plan, listener) as (engine, prompts, place):
        settings = next(settings for settings in candidates if settings.engine == engine.name)
        keys = plan.keys(settings)
        known = store.get(list(keys.values()))
        metadata = {**place, **package_versions(), "why": engine.reason}
        bar = tqdm(
            total=len(keys), initial=len(known), desc=entry.name, unit="prompt", disable=not plan.progress
        )
        with bar:
            for batch in engine.complete([p for p in prompts if keys[p.example_id] not in known]):
                rows = [(keys[prompt.example_id], completion) for prompt, completion in batch]
                run = Run(plan.run_id, entry.name, settings, metadata, asdict(engine.counters))
                store.add(rows, run)
                bar.update(len(rows))
                listener.count(entry.name, len(rows))


@contextmanager
def loaded(entry: ModelEntry, plan: Plan, listener: Listener) -> Iterator[Running]:
    """The model on leased GPUs, or on the CPU."""
    tokenizer = models.load_tokenizer(entry)
    audited = audit(entry, plan, tokenizer)
    if audited.problem:
        raise InputError(f"model {entry.name}: {audited.problem}")
    if audited.warning:
        listener.say(entry.name, audited.warning)
    tag = closing_tag(entry, tokenizer) if plan.thinks else None
    gpus = visible_gpus()
    wanted = min(plan.gpus_per_model, len(gpus))
    with gpu_leases(gpus, wanted, plan.wait, partial(listener.say, entry.name)) as leased:
        here = models.load(entry, [f"cuda:{index}" for index in leased] or ["cpu"], tokenizer)
        engine = engine_for(
            "logprob" if plan.metric == "logprob" else plan.engine,
            here.model,
            here.tokenizer,
            plan.constraint,
            batch_size=plan.batch_size,
            pack_tokens=plan.pack_tokens,
            identity=[models.fingerprint(entry), package_versions()],
        )
        if tag:
            from bench.decoding.think_local import Thinker

            thinker = Thinker(here.model, here.tokenizer, tag, plan.think_tokens, plan.batch_size)
            engine = ThinkingEngine(engine, thinker.think, plan.think_tokens)
        place = {"device": here.device, "dtype": here.dtype}
        if audited.warning:
            place["warning"] = audited.warning
        yield engine, plan.prompts(entry, here.tokenizer), place


@contextmanager
def served(entry: ModelEntry, plan: Plan, listener: Listener) -> Iterator[Running]:
    """The model on the first of the servers that has it."""
    from bench.decoding.server import Server, ServerEngine, find

    names = models.served_names(entry)
    if (found := find(names, names, plan.servers)) is None:
        raise InputError(f"model {entry.name}: no server is given. Name one with --boxes-server=URL.")
    tokenizer = models.served_tokenizer(entry)
    prompts = plan.prompts(entry, tokenizer)
    tag = closing_tag(entry, tokenizer) if plan.thinks else None
    count = (lambda text: len(tokenizer(text).input_ids)) if tokenizer else None
    url, name = found
    with closing(Server(url)) as server:
        engine: Engine
        engine = asked = ServerEngine(
            server, name, plan.constraint, prompts[0], count_tokens=count, in_flight=plan.in_flight
        )
        if tag:
            from bench.decoding.think_server import ServerThinker

            thinker = ServerThinker(asked, tag, plan.think_tokens)
            engine = ThinkingEngine(asked, thinker.think, plan.think_tokens)
        yield engine, prompts, {"device": url}


def audit(entry: ModelEntry, plan: Plan, tokenizer: Any) -> Audit:
    """How the model is asked, and whether it can write the right answers; its weights are not needed."""
    golds = [gold_statement(example) for example in plan.examples]
    return audit_model(entry, tokenizer, plan.prompts(entry, tokenizer), golds, plan.constraint)


def read_and_score(
    entry: ModelEntry, plan: Plan, store: Store, settings: Settings, completions: Mapping[str, Completion]
) -> Evaluation:
    """An evaluation with what the store knows of the run that made it."""
    runs = store.runs(settings)
    return replace(scored(entry.name, plan, settings, completions), run=runs[-1] if runs else {})


def scored(name: str, plan: Plan, settings: Settings, completions: Mapping[str, Completion]) -> Evaluation:
    """What the completions say, and how much of it is right."""
    found = {example.id: plan.read(completions[example.id], example) for example in plan.examples}
    scores = tuple(entry for example in plan.examples for entry in score(example, found[example.id][0]))
    margins = {example_id: of_boxes for example_id, (_, of_boxes) in found.items()}
    return Evaluation(
        name,
        completions,
        scores,
        margins=mean_margins(scores, margins) if plan.metric == "logprob" else {},
        thinking={name: thinking_tokens(done) for name, done in completions.items()} if plan.thinks else {},
        forms=Counter(answer.form for answer, _ in found.values()),
        engine=settings.engine,
        fingerprint=settings.as_dict(),
    )
