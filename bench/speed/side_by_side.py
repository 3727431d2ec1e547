"""Engines in one run on one machine -> seconds per prompt, ratios, and whether answers agree.

Each repeat runs every engine in turn. A ratio is the median of the ratios within repeats, because a machine
that slows down for a while slows both engines. On a CPU the seconds are processor time.
"""

from __future__ import annotations

import platform
import time
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from bench.decoding import Engine
from bench.decoding.device import usable
from bench.decoding.tree.choices import ChoiceEngine
from bench.decoding.tree.tree import Tree, common_prefix
from bench.inputs import InputError
from bench.records import Completion, Counters, Example, Prompt
from bench.run.plans import package_versions
from bench.speed.scripted import (
    Script,
    ScriptedReference,
    ScriptedSpeculative,
    random_model,
    script,
    scripted_answer,
)
from bench.task.examples import NUM_EXAMPLES, NUM_SCENARIOS, evaluation_set, examples
from bench.task.prompts import PROTOCOLS, build, build_choices, constraint
from bench.task.world import generate

STATES = 12  # states per scenario in the published test split
RATIOS = {
    "reference_batch16/speculative": ("reference_batch16", "speculative"),
    "reference_batch1/speculative": ("reference_batch1", "speculative"),
    "generate_batch16/speculative": ("generate_batch16", "speculative"),
    "speculative/teacher_forced": ("speculative", "teacher_forced"),
    "speculative_unshared/teacher_forced": ("speculative_unshared", "teacher_forced_unshared"),
    "logprob/teacher_forced": ("logprob", "teacher_forced"),
    "logprob_unshared/teacher_forced": ("logprob_unshared", "teacher_forced_unshared"),
}
CARDS = {"H100": (3.35e12, 989e12), "H200": (4.8e12, 989e12)}  # bytes and bf16 operations per second
SETTINGS = (
    "err", "scenarios", "evaluation_set", "protocol", "pack_tokens", "repeats", "threads", "device", "dtype",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Measured:
    """One measurement of one engine. seconds: per prompt; processor time on a CPU, else clock time."""

    seconds: float
    counters: Counters
    completions: Mapping[str, Completion]


@dataclass(frozen=True, slots=True)
class Subject:
    """A model, its prompts, and the scripted answers, if any.

    choices: the same prompts with the clauses that the metric logprob scores.
    """

    model: Any
    tokenizer: Any
    prompts: Sequence[Prompt]
    choices: Sequence[Prompt]
    script: Script
    args: Namespace

    def engine(self, kind: Callable[..., Any], **options: Any) -> Any:
        asked = constraint(PROTOCOLS[self.args.protocol])
        return kind(self.model, self.tokenizer, asked, script=self.script, **options)


def measured(args: Namespace) -> dict[str, Any]:
    """The figures of one benchmark, ready for JSON."""
    torch.set_num_threads(args.threads)
    model, tokenizer = load(args)
    shared = subject(model, tokenizer, whole_scenarios(args), args)
    unshared = subject(model, tokenizer, one_of_each(len(shared.prompts)), args)
    reference = shared.engine(ScriptedReference)
    next(reference.complete(shared.prompts[:1]))  # compiles kernels and indexes the vocabulary, not measured
    return summary([measure_all(shared, unshared, reference) for _ in range(args.repeats)], shared)


def load(args: Namespace) -> tuple[Any, Any]:
    """Model and tokenizer. Raises ValueError if there is no such checkpoint, or no such device."""
    usable(args.device)
    dtype = getattr(torch, args.dtype)
    if args.model is None:
        return random_model(args.shape, args.device, dtype)
    if not (args.model / "config.json").is_file():
        raise InputError(f"no checkpoint in {args.model}: config.json is missing. Give a model's folder.")
    model = AutoModelForCausalLM.from_pretrained(args.model, dtype=dtype, local_files_only=True)
    return model.to(args.device).eval(), AutoTokenizer.from_pretrained(args.model, local_files_only=True)


def subject(model: Any, tokenizer: Any, asked: Sequence[Example], args: Namespace) -> Subject:
    prompts = [build(example, PROTOCOLS[args.protocol]) for example in asked]
    answers = {}
    if args.err is not None:
        said = [scripted_answer(example, args.err) for example in asked]
        answers = dict(zip([prompt.text for prompt in prompts], said, strict=True))
    choices = [build_choices(example, PROTOCOLS[args.protocol]) for example in asked]
    return Subject(model, tokenizer, prompts, choices, script(answers, tokenizer), args)


def whole_scenarios(args: Namespace) -> list[Example]:
    if args.evaluation_set:
        return evaluation_set()
    return [state for scenario in generate(args.scenarios, seed=0) for state in examples(scenario)[1:]]


def one_of_each(number: int) -> list[Example]:
    """Examples after 1, 2, ... operations in turn, each from another scenario with another description."""
    return [examples(scenario)[1 + n % STATES] for n, scenario in enumerate(generate(number, seed=1))]


def measure_all(shared: Subject, unshared: Subject, reference: ScriptedReference) -> dict[str, Measured]:
    found = {}
    few = shared.prompts[: shared.args.reference_prompts]
    for side, batch_size, constrained in (
        ("reference_batch1", 1, True),
        ("reference_batch16", 16, True),
        ("generate_batch16", 16, False),
    ):
        reference.batch_size, reference.constrained = batch_size, constrained
        found[side] = measure(reference, shared, few)
    for suffix, given in (("", shared), ("_unshared", unshared)):
        speculative = given.engine(ScriptedSpeculative, pack_tokens=given.args.pack_tokens)
        found["speculative" + suffix] = measured = measure(speculative, given, given.prompts)
        found["teacher_forced" + suffix] = teacher_force(given, measured.completions)
        choosing = ChoiceEngine(given.model, given.tokenizer, pack_tokens=given.args.pack_tokens)
        found["logprob" + suffix] = measure(choosing, given, given.choices)
    return found


def measure(engine: Engine, given: Subject, prompts: Sequence[Prompt]) -> Measured:
    engine.counters = Counters()
    start = now(given.model)
    completions = {prompt.example_id: done for pack in engine.complete(prompts) for prompt, done in pack}
    return Measured((now(given.model) - start) / len(prompts), engine.counters, completions)


@torch.inference_mode()
def teacher_force(given: Subject, completions: Mapping[str, Completion]) -> Measured:
    """Read each prompt with its known answer once, one by one, after the prefix that all prompts share."""
    start, counters = now(given.model), Counters(forward_passes=len(completions))
    sequences = [(given.tokenizer(p.text).input_ids, completions[p.example_id]) for p in given.prompts]
    tree = Tree(given.model)
    root = tree.add([], sequences[0][0][: common_prefix([ids for ids, _ in sequences])])
    tree.run(root[-1:])
    for ids, completion in sequences:
        tree.keep(len(root), [])
        columns = tree.add(root, ids[len(root) :] + list(completion.token_ids))
        tree.run(columns[-len(completion.token_ids) :]).argmax(-1).tolist()
        counters.model_tokens += len(columns)
    return Measured((now(given.model) - start) / len(sequences), counters, completions)


def now(model: Any) -> float:
    if model.device.type == "cpu":
        return time.process_time()
    torch.cuda.synchronize(model.device)
    return time.perf_counter()


def summary(found: Sequence[Mapping[str, Measured]], given: Subject) -> dict[str, Any]:
    """Medians, ratios and settings, for JSON."""
    last = found[-1]
    seconds = {side: median(measured[side].seconds for measured in found) for side in last}
    compared = last["reference_batch16"].completions
    return {
        "shape": str(given.args.model or given.args.shape),
        "settings": {name: vars(given.args)[name] for name in SETTINGS},
        "prompts": {side: len(measured.completions) for side, measured in last.items()},
        "seconds_per_prompt": seconds,
        "ratios": {
            name: median(measured[a].seconds / measured[b].seconds for measured in found)
            for name, (a, b) in RATIOS.items()
        },
        "compared": len(compared),
        "identical": sum(last["speculative"].completions[name] == done for name, done in compared.items()),
        "extrapolated_seconds": {
            "speculative, full split": seconds["speculative"] * NUM_SCENARIOS * STATES,
            "reference_batch1, evaluation set": seconds["reference_batch1"] * NUM_EXAMPLES,
        },
        "counters": {side: asdict(measured.counters) for side, measured in last.items()},
        "machine": machine(given.model, last["speculative"].counters),
        "versions": package_versions(),
    }


def machine(model: Any, counters: Counters) -> dict[str, Any]:
    """The device, and on a known card the smallest possible seconds for the speculative engine's passes.

    This floor is the larger of two times: reading the weights once per pass, and two operations per weight
    and token.
    """
    if model.device.type == "cpu":
        return {"device": f"{platform.machine()} CPU"}
    name = torch.cuda.get_device_name(model.device)
    weights = sum(parameter.numel() for parameter in model.parameters())
    size = sum(parameter.nbytes for parameter in model.parameters())
    found: dict[str, Any] = {"device": name}
    for card, (bandwidth, peak) in CARDS.items():
        if card in name:
            reading = counters.forward_passes * size / bandwidth
            found["floor_seconds"] = max(reading, 2 * weights * counters.model_tokens / peak)
    return found
