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
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial

from tqdm import tqdm

from bench import models
from bench.decoding.thinking import thinking_tokens
from bench.records import Answer, Completion, Evaluation, Example, ModelEntry
from bench.run.leases import model_lock
from bench.run.plans import Plan, package_versions
from bench.run.start import start
from bench.scoring.answers import read_answer
from bench.scoring.scores import Margins, mean_margins, read_choice, score
from bench.store import Run, Settings, Store
from bench.text import printable


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
