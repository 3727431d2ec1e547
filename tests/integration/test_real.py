"""Real tokenizers: right answers are spelled exactly, prompts are well-formed, and both engines agree.

The models have each family's architecture and random weights; two pretrained models follow. Each fault found
here also has a small test without a download (test_spelling.py, test_chat.py, test_gguf.py).
"""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from bench import models
from bench.decoding.automaton import build_tables, encode_inside, index_of, spell, tokens_for
from bench.decoding.reference import ReferenceEngine
from bench.decoding.tree.engine import SpeculativeEngine
from bench.records import Completion, Example, ModelEntry, Prompt
from bench.run.evaluate import evaluate
from bench.run.options import Options
from bench.run.plans import Plan, limited
from bench.run.progress import distinct
from bench.store import Store
from bench.task.examples import load_examples
from bench.task.prompts import PROTOCOLS, constraint, gold_statement
from bench.task.wording import WORDINGS
from fixtures import real
from fixtures.checkpoints import make_checkpoint

pytestmark = pytest.mark.real
CHAT = (
    "gemma-3",
    "llama-3.1",
    "qwen-2.5",
    "qwen-3",
    "phi-3",
    "smollm2",
    "deepseek-v3",
)  # they have a template
OTHERS = {  # further architectures that use such a vocabulary
    "mistral, no window": "mistral-v0.1",
    "mistral, short window": "mistral-v0.1",
    "gemma-2": "gemma",
    "smollm-3": "llama-3.1",
}
MODELS = {name: name for name in real.VOCABULARIES} | OTHERS


@pytest.fixture(scope="session")
def tokenizer_of():
    """A real tokenizer by name, loaded once. The test is skipped if it is missing."""
    loaded: dict[str, Any] = {}

    def find(name: str) -> Any:
        if name not in loaded:
            try:
                loaded[name] = real.VOCABULARIES[name].load()
            except real.Missing as reason:
                pytest.skip(str(reason))
        return loaded[name]

    return find


@cache
def evaluation_of(version: str) -> list[Example]:
    return load_examples("evaluation", version=version)


@pytest.mark.parametrize("name", real.VOCABULARIES)
def test_every_right_answer_is_spelled_exactly_and_allowed(name: str, tokenizer_of) -> None:
    tokenizer = tokenizer_of(name)
    spelling = spell(tokenizer)
    tables: dict[str, Any] = {}
    for version in WORDINGS:
        examples = evaluation_of(version)
        golds = [gold_statement(example) for example in examples]
        answers = encode_inside(tokenizer, golds)
        assert ["".join(spelling[token] for token in ids) for ids in answers] == golds
        for protocol in PROTOCOLS.values():
            asked = constraint(protocol, version, len(examples[0].queries))
            if asked.regex not in tables:
                tables[asked.regex] = build_tables(asked.regex, tokenizer, torch.device("cpu"))
            for ids in answers:
                states = tables[asked.regex].walk(0, ids)
                assert len(states) == len(ids)
                assert tables[asked.regex].is_over(states[-1])


@pytest.mark.parametrize("name", real.VOCABULARIES)
def test_what_is_left_out_of_the_index_is_never_allowed(name: str, tokenizer_of) -> None:
    """The automaton over the possible tokens equals the automaton over the whole vocabulary."""
    tokenizer = tokenizer_of(name)
    spelling, regex = spell(tokenizer), constraint(PROTOCOLS["paper"]).regex
    whole = {token: text for token, text in enumerate(spelling) if text}
    few, all_ = (
        index_of(regex, texts, tokenizer.eos_token_id).get_transitions()
        for texts in (tokens_for(regex, spelling), whole)
    )
    assert few == all_


@pytest.mark.parametrize("name", CHAT)
def test_its_own_chat_template_says_every_turn_after_one_bos(
    name: str, tokenizer_of, tmp_path: Path, evaluation_examples: tuple[Example, ...]
) -> None:
    tokenizer = tokenizer_of(name)
    family = real.VOCABULARIES[name].family
    entry = ModelEntry("chatty", str(make_checkpoint(tmp_path, family, tokenizer)), chat=True)
    plan = Plan(evaluation_examples)
    found = plan.audit(entry, models.load_tokenizer(entry))
    assert found.problem is None
    assert found.roles in (
        "system, user, assistant, user",
        "user, assistant, user, assistant, user",
    )
    [prompt] = Plan(evaluation_examples[:1]).prompts(entry, tokenizer)
    assert PROTOCOLS["paper"].instruction in prompt.text
    assert prompt.text.count("Statement: ") == 2
    assert prompt.text.rindex(evaluation_examples[0].description) > prompt.text.rindex("Statement: ")


def answers_of(engine: Any, prompts: list[Prompt]) -> dict[str, Completion]:
    """Every answer; what it cost is printed, for pytest -rP to show."""
    start = time.process_time()
    answers = {prompt.example_id: done for batch in engine.complete(prompts) for prompt, done in batch}
    seconds, cost, n = time.process_time() - start, engine.counters, len(prompts)
    read = [
        engine.tokenizer(prompt.text).input_ids + list(answers[prompt.example_id].token_ids)
        for prompt in prompts
    ]
    print(
        f"{engine.name}: {seconds / n:.2f} processor seconds, {cost.forward_passes / n:.2f} passes, "
        f"{cost.model_tokens / n:.0f} tokens, {distinct(read) / n:.0f} of them distinct, per prompt"
    )
    return answers


def both(entry: ModelEntry, plan: Plan) -> list[dict[str, Completion]]:
    """The answers of both engines, without a limit on the cost of drafts."""
    loaded = models.load(entry, ["cpu"])
    prompts = plan.prompts(entry, loaded.tokenizer)
    reference, speculative = (
        engine(loaded.model, loaded.tokenizer, plan.constraint)
        for engine in (ReferenceEngine, SpeculativeEngine)
    )
    speculative.costs.balance = float("inf")
    found = [answers_of(engine, prompts) for engine in (reference, speculative)]
    assert "went to" not in speculative.reason
    return found


@pytest.mark.parametrize("protocol", ["paper", "strict"])  # an untrained checkpoint has no tag for think
@pytest.mark.parametrize("name", MODELS)
def test_both_engines_write_the_same_ten_answers(
    name: str, protocol: str, tokenizer_of, tmp_path: Path, evaluation_examples: tuple[Example, ...]
) -> None:
    vocabulary = MODELS[name]
    family = name if name in OTHERS else real.VOCABULARIES[name].family
    folder = make_checkpoint(tmp_path, family, tokenizer_of(vocabulary))
    entry = ModelEntry("untrained", str(folder))
    plan = Plan(limited(evaluation_examples, 10), Options(protocol=protocol))
    assert plan.audit(entry, models.load_tokenizer(entry)).problem is None
    expected, found = both(entry, plan)
    assert found == expected
    assert len(found) == 10
    two = Plan(plan.examples[:2], Options(protocol=protocol, engine="speculative"))
    done = evaluate(entry, two, Store(":memory:"), wait=0)
    assert len(done.scores) == 14
    assert all(done.completions[example.id] == expected[example.id] for example in two.examples)


PRETRAINED = {
    "SmolLM2-135M-Instruct": (real.smollm2, False),
    "SmolLM2-135M-Instruct, chat": (real.smollm2, True),
    "Gemma 3 270M": (real.gemma_270m, False),
}


@pytest.mark.parametrize("name", PRETRAINED)
def test_a_pretrained_model_gives_forty_answers_alike(
    name: str, evaluation_examples: tuple[Example, ...]
) -> None:
    find, chat = PRETRAINED[name]
    try:
        entry = ModelEntry("pretrained", str(find()), chat=chat)
    except real.Missing as reason:
        pytest.skip(str(reason))
    expected, found = both(entry, Plan(limited(evaluation_examples, 40)))
    assert found == expected
    assert len(found) == 40
