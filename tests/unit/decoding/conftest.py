"""Small real models: random weights, and a tokenizer trained on the task's own words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from bench.records import Completion, Example, Prompt
from bench.task.examples import examples
from bench.task.prompts import PROTOCOLS, Constraint, build, constraint, gold_statement
from bench.task.world import generate

EOS = "<|endoftext|>"


@pytest.fixture(scope="session")
def states() -> list[Example]:
    """Every state of three scenarios."""
    return [state for scenario in generate(3, seed=5) for state in examples(scenario)]


@pytest.fixture(scope="session")
def tokenizer(states: list[Example]) -> PreTrainedTokenizerFast:
    """Byte-level BPE with 400 tokens."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=[EOS], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    bpe.train_from_iterator([f"{state.description}\n{gold_statement(state)}" for state in states], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token=EOS, pad_token=EOS)


@pytest.fixture(scope="session")
def random_model(tokenizer: PreTrainedTokenizerFast) -> Callable[..., Any]:
    """A model with this architecture and random weights: two layers of size 32."""

    def make(architecture: str = "llama", **changes: Any) -> Any:
        torch.manual_seed(0)
        sizes = {
            "vocab_size": len(tokenizer), "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
            "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "initializer_range": 0.3,
            "max_position_embeddings": 2048, "bos_token_id": None, "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
        }  # fmt: skip
        chosen = {name: value for name, value in (sizes | changes).items() if value is not None}
        config = AutoConfig.for_model(architecture, **chosen)
        return AutoModelForCausalLM.from_config(config).float().eval()

    return make


@pytest.fixture(scope="session")
def strict() -> Constraint:
    return constraint(PROTOCOLS["strict"])


@pytest.fixture(scope="session")
def paper() -> Constraint:
    return constraint(PROTOCOLS["paper"])


@pytest.fixture(scope="session")
def prompts(states: list[Example]) -> list[Prompt]:
    """Three states each of two scenarios, and one of another: prompts of different lengths."""
    return [build(states[position], PROTOCOLS["paper"]) for position in (1, 2, 9, 14, 20, 25, 38)]


@pytest.fixture(scope="session")
def complete() -> Callable[..., dict[str, Completion]]:
    """All completions of an engine by example id."""

    def run(engine: Any, prompts: Sequence[Prompt]) -> dict[str, Completion]:
        return {prompt.example_id: done for batch in engine.complete(prompts) for prompt, done in batch}

    return run
