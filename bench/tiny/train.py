"""Arm -> weights: one training loop for the embedded family."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
from torch import Tensor
from tqdm import tqdm
from transformers import LlamaConfig, LlamaForCausalLM

from bench.tiny import corpora
from bench.tiny.tokenizer import EOS, Encoder, train_tokenizer

CONTEXT = 1024


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of an arm's training: what is read, how much of it, in rows of how many tokens."""

    mixture: str
    tokens: int
    length: int
    batch_tokens: int = 8192


@dataclass(frozen=True, slots=True)
class Arm:
    parent: str | None
    stages: tuple[Stage, ...]
    muon_lr: float = 0.02
    adam_lr: float = 4e-3


ARMS = {
    "base": Arm(None, (
        Stage("short", 4_000_000, 256),
        Stage("distracted", 5_000_000, 256),
        Stage("prompts", 5_000_000, 640),
    )),
    "tracking": Arm("base", (Stage("growing", 8_000_000, 256),)),
}


def new_model(tokenizer, hidden=192, layers=4, heads=4, ff=512) -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        intermediate_size=ff,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.eos_token_id,
        attn_implementation="sdpa",
    )
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                weight /= (2 * layers) ** 0.5
    return model


def rows(mixture: str, rng: Random, progress: float, encode: Encoder, length: int) -> Iterator[tuple[list, list]]:
    """Rows of whole documents, each closed by EOS."""
    eos = encode(EOS)[0] if False else 0
    ids, weights = [], []
    while True:
        document = corpora.draw(mixture, rng, progress)
        new_ids, new_weights = [], []
        for text, weight in document:
            piece = encode(text)
            new_ids += piece
            new_weights += [weight] * len(piece)
        new_ids.append(eos)
        new_weights.append(corpora.ANSWER)
        if len(new_ids) > length:
            continue
        if len(ids) + len(new_ids) > length:
            pad = length - len(ids)
            yield ids + [eos] * pad, weights + [0.0] * pad
            ids, weights = [], []
        ids += new_ids
        weights += new_weights


def batch(stage: Stage, seed, step: int, progress: float, encode: Encoder) -> tuple[Tensor, Tensor]:
    source = rows(stage.mixture, Random(f"{stage.mixture}/{seed}/{step}"), progress, encode, stage.length)
    drawn = [next(source) for _ in range(stage.batch_tokens // stage.length)]
    return torch.tensor([i for i, _ in drawn]), torch.tensor([w for _, w in drawn])


def loss_fn(model, input_ids, weights):
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(input_ids=input_ids, use_cache=False).logits
    losses = torch.nn.functional.cross_entropy(
        logits[:, :-1].float().flatten(0, 1), input_ids[:, 1:].flatten(), reduction="none"
    )
    w = weights[:, 1:].flatten()
    return (losses * w).sum() / w.sum()


def optimizers(model, arm):
    muon = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    adam = [p for n, p in model.named_parameters() if p.ndim < 2 or "embed" in n]
    return [torch.optim.Muon(muon, lr=arm.muon_lr, weight_decay=0.0, momentum=0.95),
            torch.optim.AdamW(adam, lr=arm.adam_lr, betas=(0.9, 0.95), weight_decay=0.0)]
