"""Shape, error rate -> a model of any size with scripted answers, to measure decoding without training.

The weights are random. A bias on the logits produces the scripted answer of each prompt, at any place in a
batch or a tree. Both engines get the same bias from the subclasses below.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, PreTrainedTokenizerBase

from bench import FIXTURES
from bench.decoding.automaton import encode_inside
from bench.decoding.reference import ReferenceEngine
from bench.decoding.tree.engine import Branch, SpeculativeEngine
from bench.decoding.tree.tree import Tree
from bench.records import Completion, Contents, Example, Query
from bench.speed.benchmark import SHAPES
from bench.task.prompts import STATEMENT
from bench.task.wording import WORDINGS
from bench.task.world import MAX_OBJECTS

BIAS = 1e4
LARGE_VOCABULARY = 32_000  # for all shapes except tiny, which has the vocabulary of the embedded models
Script = Mapping[str, list[int]]  # prompt text -> tokens of its answer


def random_model(shape: str, device: str, dtype: torch.dtype) -> tuple[Any, PreTrainedTokenizerBase]:
    """A Llama with random weights, made on its device, and a tokenizer with the same vocabulary size."""
    tokenizer = AutoTokenizer.from_pretrained(FIXTURES / "tiny" / "tiny-base")
    if shape != "tiny":
        tokenizer.add_tokens(strange_words(LARGE_VOCABULARY - len(tokenizer)))
    hidden, feed_forward, layers, heads = SHAPES[shape]
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=hidden, intermediate_size=feed_forward,
        num_hidden_layers=layers, num_attention_heads=heads, max_position_embeddings=4096,
        bos_token_id=None, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    torch.manual_seed(0)
    with torch.device(device):
        return AutoModelForCausalLM.from_config(config, dtype=dtype).eval(), tokenizer


def strange_words(number: int) -> list[str]:
    """Random words, half of them after a space, so that the constraint allows very many tokens."""
    rng = Random(0)
    words: dict[str, None] = {}
    while len(words) < number:
        words[" " * (len(words) % 2) + "".join(rng.choices("bdfgjkqvwxz", k=7))] = None
    return list(words)


def scripted_answer(example: Example, err: float, seed: int = 0) -> str:
    """The gold statement, in which each changed box is wrong with probability err."""
    rng = Random(f"{seed}/{example.id}")
    names = sorted(set().union(*(query.mentioned for query in example.queries)))

    def contents(query: Query) -> Contents:
        if query.num_ops == 0 or rng.random() >= err:
            return query.target
        if query.earlier and rng.random() < 0.5:
            return rng.choice(query.earlier)
        return frozenset(rng.sample(names, min(rng.randint(1, MAX_OBJECTS), len(names))))

    return STATEMENT + WORDINGS[example.version].state_all(tuple(map(contents, example.queries)))


def script(answers: Mapping[str, str], tokenizer: PreTrainedTokenizerBase) -> Script:
    """Prompt text -> tokens of the answer, with the end-of-sequence token."""
    encoded = encode_inside(tokenizer, list(answers.values())) if answers else []
    return {text: [*ids, tokenizer.eos_token_id] for text, ids in zip(answers, encoded, strict=True)}


class ScriptedReference(ReferenceEngine):
    """The reference engine on a biased model. constrained: False to decode without the mask."""

    def __init__(self, *args: Any, script: Script, constrained: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.script = script
        self.constrained = constrained

    def complete_batch(self, texts: list[str]) -> list[Completion]:
        self.answers = [self.script.get(text, []) for text in texts]
        self.step = 0
        return super().complete_batch(texts)

    def masked(self, mask: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        def biased(input_ids: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
            for row, answer in enumerate(self.answers):
                if self.step < len(answer):
                    logits[row, answer[self.step]] += BIAS
            self.step += 1
            return mask(input_ids, logits) if self.constrained else logits

        return super().masked(biased)


class ScriptedSpeculative(SpeculativeEngine):
    """The speculative engine on the same biased model."""

    def __init__(self, *args: Any, script: Script, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.script = script

    def verify(self, tree: Tree, branches: Sequence[Branch]) -> None:
        self.biased: list[tuple[int, int]] = []  # (row of the logits, token)
        row = 0
        for branch in branches:
            answer = self.script.get(branch.prompt.text, [])[len(branch.written) :]
            self.biased += [(row + at, token) for at, token in enumerate(answer[: len(branch.draft) + 1])]
            row += len(branch.draft) + 1
        super().verify(tree, branches)

    def choose(self, logits: torch.Tensor, states: Sequence[int]) -> list[int]:
        if self.biased:
            rows, tokens = zip(*self.biased, strict=True)
            logits[rows, tokens] += BIAS
        return super().choose(logits, states)
