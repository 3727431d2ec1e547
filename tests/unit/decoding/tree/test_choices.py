"""Clauses scored on one tree have the log-probabilities of plain forward passes, one clause at a time."""

from __future__ import annotations

import json

import pytest
import torch
from transformers import MistralConfig, MistralForCausalLM

from bench import models
from bench.decoding.tree.choices import ChoiceEngine
from bench.models import LoadedModel
from bench.models.suites import load_suite
from bench.records import Completion, Prompt
from bench.task.examples import evaluation_set, examples
from bench.task.prompts import PROTOCOLS, SHOTS, STATEMENT, build_choices

PAPER = PROTOCOLS["paper"]


@torch.inference_mode()
def log_probability(model, ids: list[int], first: int) -> float:
    """The log-probability of the tokens from `first` on: one row, no cache, float64 sums."""
    logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, first - 1 : -1].double()
    steps = torch.log_softmax(logits, -1)
    return sum(float(steps[place, token]) for place, token in enumerate(ids[first:]))


def one_by_one(model, tokenizer, prompt: Prompt) -> list[list[float]]:
    """The lead of each clause over the true one, which decides the choice."""
    before = tokenizer(prompt.text).input_ids
    found = []
    for box, clauses in enumerate(prompt.drafts):
        end = "." if box == len(prompt.drafts) - 1 else ","
        opening = " " if box else STATEMENT
        tails = [
            tokenizer("\n" + opening + clause + end, add_special_tokens=False).input_ids[1:]
            for clause in clauses
        ]
        scores = [log_probability(model, before + tail, len(before)) for tail in tails]
        found.append([score - scores[0] for score in scores])
        before = before + tails[0]
    return found


def leads(completion: Completion) -> list[list[float]]:
    logprobs = json.loads(completion.notes)
    return [[score - scores[0] for score in scores] for scores in logprobs]


def differences(model, tokenizer, prompts: list[Prompt]) -> list[float]:
    """Between the lead of each clause from a tree and that from one clause a pass, in nats."""
    engine = ChoiceEngine(model, tokenizer)
    assert not engine.alone, engine.reason
    done = {prompt.example_id: answer for pack in engine.complete(prompts) for prompt, answer in pack}
    assert done.keys() == {prompt.example_id for prompt in prompts}
    return [
        abs(one - other)
        for prompt in prompts
        for ones, others in zip(
            one_by_one(model, tokenizer, prompt), leads(done[prompt.example_id]), strict=True
        )
        for one, other in zip(ones, others, strict=True)
    ]


def test_a_tree_scores_as_one_clause_a_pass(tiny_base) -> None:
    prompts = [build_choices(example, PAPER) for example in examples(SHOTS)[6:]]
    assert max(differences(tiny_base.model, tiny_base.tokenizer, prompts)) < 1e-4


def test_a_tree_scores_as_one_clause_a_pass_behind_a_sliding_window(tiny_base) -> None:
    config = MistralConfig(
        vocab_size=len(tiny_base.tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=1, sliding_window=48, max_position_embeddings=2048,
    )  # fmt: skip
    torch.manual_seed(0)
    model = MistralForCausalLM(config).eval()
    prompts = [build_choices(example, PAPER) for example in examples(SHOTS)[6:]]
    assert max(differences(model, tiny_base.tokenizer, prompts)) < 1e-4


DIFFERS = "two plain passes with different kernels differ by more (reports/tiny/logprob.md)"


@pytest.mark.nightly
@pytest.mark.parametrize(
    "name",
    [
        pytest.param("tiny-base", marks=pytest.mark.xfail(strict=True, reason=DIFFERS)),
        "tiny-code",
        "tiny-tracking",
    ],
)
def test_200_prompts_score_as_one_clause_a_pass(name: str) -> None:
    here, prompts = embedded(name, 200)
    assert max(differences(here.model, here.tokenizer, prompts)) < 1e-4


@pytest.mark.nightly
@pytest.mark.parametrize("name", ["tiny-base", "tiny-code"])
def test_in_float64_a_tree_scores_exactly_as_one_clause_a_pass(name: str) -> None:
    """Scores have six digits after the point, so a difference of two scores has an error of at most 1e-6."""
    here, prompts = embedded(name, 20)
    assert max(differences(here.model.double(), here.tokenizer, prompts)) < 2e-6


def embedded(name: str, number: int) -> tuple[LoadedModel, list[Prompt]]:
    """A model in float32, and evenly spread prompts."""
    prompts = [build_choices(example, PAPER) for example in evaluation_set()[::3][: 200 : 200 // number]]
    assert len(prompts) == number
    return models.load(load_suite("embedded").models[name], ["cpu"]), prompts


def test_a_model_that_takes_no_tree_scores_one_clause_a_pass(tiny_base, monkeypatch) -> None:
    prompts = [build_choices(examples(SHOTS)[3], PAPER)]
    (((_, tree),),) = ChoiceEngine(tiny_base.model, tiny_base.tokenizer).complete(prompts)
    monkeypatch.setattr("bench.decoding.tree.choices.unsupported", lambda model: "it is said to")
    engine = ChoiceEngine(tiny_base.model, tiny_base.tokenizer)
    assert engine.alone and "it is said to" in engine.reason
    (((_, alone),),) = engine.complete(prompts)
    for ones, others in zip(leads(alone), leads(tree), strict=True):
        assert ones == pytest.approx(others, abs=1e-4)


def test_small_packs_change_no_choice(tiny_base) -> None:
    prompts = [build_choices(example, PAPER) for example in examples(SHOTS)[::3]]
    whole, split = (
        {
            prompt.example_id: leads(answer)
            for pack in ChoiceEngine(tiny_base.model, tiny_base.tokenizer, pack_tokens=size).complete(prompts)
            for prompt, answer in pack
        }
        for size in (5000, 1)
    )
    for name, found in whole.items():
        for ones, others in zip(found, split[name], strict=True):
            assert ones == pytest.approx(others, abs=1e-4)
