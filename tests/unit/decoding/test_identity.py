"""The speculative engine gives outlines' answers, token for token in float32, for any model."""

from __future__ import annotations

import pytest
import torch

from bench import models
from bench.decoding.reference import ReferenceEngine
from bench.decoding.select import engine_for
from bench.decoding.tree.engine import SpeculativeEngine
from bench.models.suites import load_suite
from bench.speed.scripted import random_model as random_weights
from bench.task.examples import evaluation_set
from bench.task.prompts import PROTOCOLS, build, constraint

ENGINES = (ReferenceEngine, SpeculativeEngine)

ARCHITECTURES = [
    pytest.param("llama", {}, id="Llama with grouped queries"),
    pytest.param("qwen2", {}, id="Qwen 2"),
    pytest.param(
        "qwen2",
        {"use_sliding_window": True, "sliding_window": 48, "max_window_layers": 1},
        id="Qwen 2, windows",
    ),
    pytest.param("qwen3", {}, id="Qwen 3"),
    pytest.param("mistral", {"sliding_window": 48}, id="Mistral, window 48"),
    pytest.param("mistral", {"sliding_window": 400}, id="Mistral, window 400"),
    pytest.param("gemma2", {"sliding_window": 48}, id="Gemma 2"),
    pytest.param("gemma3_text", {"sliding_window": 48}, id="Gemma 3"),
    pytest.param("gpt2", {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 2048}, id="GPT-2"),
    pytest.param("gpt_neox", {}, id="Pythia"),
    pytest.param("opt", {"ffn_dim": 64, "word_embed_proj_dim": 32}, id="OPT"),
    pytest.param("olmo2", {}, id="OLMo 2"),
    pytest.param("phi", {}, id="Phi"),
]


@pytest.mark.nightly
@pytest.mark.parametrize(("architecture", "changes"), ARCHITECTURES)
def test_every_architecture_answers_as_the_reference_does(
    architecture, changes, random_model, tokenizer, prompts, paper, complete, monkeypatch
):
    monkeypatch.setattr("bench.decoding.tree.attention.WORTH", 0)  # it would not pay with so few tokens
    model = random_model(architecture, **changes)
    expected = complete(ReferenceEngine(model, tokenizer, paper), prompts[:5])
    engine = engine_for("auto", model, tokenizer, paper)
    assert engine.name == SpeculativeEngine.name, engine.reason
    engine.costs.balance = float("inf")
    assert complete(engine, prompts[:5]) == expected
    assert "went to" not in engine.reason


@pytest.mark.nightly
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", load_suite("embedded").models)
def test_an_embedded_model_answers_the_evaluation_set_as_with_the_reference(name, protocol, complete):
    loaded = models.load(load_suite("embedded").models[name], ["cpu"])
    prompts = [build(example, PROTOCOLS[protocol]) for example in evaluation_set()]
    engines = [
        engine_class(loaded.model, loaded.tokenizer, constraint(PROTOCOLS[protocol]))
        for engine_class in ENGINES
    ]
    expected, answers = (complete(engine, prompts) for engine in engines)
    assert answers == expected
    assert len(answers) == 716


@pytest.mark.nightly
def test_random_weights_answer_as_with_the_reference(complete, paper):
    model, tokenizer = random_weights("tiny", "cpu", torch.float32)
    prompts = [build(example, PROTOCOLS["paper"]) for example in evaluation_set()[:200]]
    engine = SpeculativeEngine(model, tokenizer, paper)
    engine.costs.balance = float("inf")  # however slow
    assert complete(engine, prompts) == complete(ReferenceEngine(model, tokenizer, paper), prompts)
