"""Arm, seed -> batches: rows of whole documents. No document describes an evaluation example."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from bench.task.examples import evaluation_set
from bench.task.wording import WORDINGS
from bench.training.arms import Arm, Stage
from bench.training.corpora import ANSWER
from bench.training.mixtures import draw
from bench.training.tokenizer import Encoder


def state_digests(text: str) -> set[str]:
    """sha256 of each sentence that states the contents of all boxes, in a description or an answer."""
    sentences = re.findall(r"Box 0 contains [^.]*\.", text)
    return {hashlib.sha256(sentence.encode()).hexdigest() for sentence in sentences}


def held_out() -> frozenset[str]:
    """The digests of all initial states and answers of the evaluation set."""
    digests: set[str] = set()
    for example in evaluation_set():
        answer = WORDINGS[example.version].state_all(tuple(query.target for query in example.queries))
        digests |= state_digests(example.description) | state_digests(answer)
    return frozenset(digests)


def rows(
    stage: Stage, rng: Random, progress: float, encode: Encoder, excluded: Collection[str]
) -> Iterator[tuple[list[int], list[float]]]:
    """Token ids and their weights in the loss. Each document ends in EOS; padding is EOS of weight 0."""
    ids: list[int] = []
    weights: list[float] = []
    while True:
        document = draw(stage.mixture, rng, progress)
        encoded = [(encode(text), weight) for text, weight in document] + [([encode.eos], ANSWER)]
        size = sum(len(piece) for piece, _ in encoded)
        stated = state_digests("".join(text for text, _ in document))
        if size > stage.length or not stated.isdisjoint(excluded):
            continue
        if len(ids) + size > stage.length:
            padding = stage.length - len(ids)
            yield ids + [encode.eos] * padding, weights + [0.0] * padding
            ids, weights = [], []
        for piece, weight in encoded:
            ids += piece
            weights += [weight] * len(piece)


def batches(
    arm: Arm, seed: int, encode: Encoder, excluded: Collection[str], start: int = 0
) -> Iterator[tuple[Stage, Tensor, Tensor]]:
    """input_ids and weights, (B, T), of each step from `start` on. A batch depends only on seed and step."""
    first = 0
    for number, stage in enumerate(arm.stages):
        for step in range(max(0, start - first), stage.steps):
            rng = Random(f"{seed}/{stage.mixture}/{number}/{step}")
            source = rows(stage, rng, step / stage.steps, encode, excluded)
            drawn = [next(source) for _ in range(stage.batch_tokens // stage.length)]
            ids, weights = zip(*drawn, strict=True)
            yield stage, torch.tensor(ids), torch.tensor(weights)
        first += stage.steps


def vocabulary_of(arm: Arm, seed: int, encode: Encoder, num_documents: int = 1000) -> list[int]:
    """The tokens in a sample of an arm's training text, ascending."""
    rng = Random(f"{seed}/vocabulary")
    documents = [draw(stage.mixture, rng, 0.5) for stage in arm.stages for _ in range(num_documents)]
    pieces = {text for document in documents for text, _ in document}
    return sorted({encode.eos}.union(*map(encode, pieces)))


@dataclass(frozen=True, slots=True)
class LeakCheck:
    """The result of a search in the training text. leaked: number of evaluation states and answers in it."""

    documents: int
    states: int
    leaked: int


def check_leaks(arm: Arm, seed: int, tokenizer: PreTrainedTokenizerBase) -> LeakCheck:
    """Read all batches again and look up each of their states among the held-out states."""
    documents, states, leaked, excluded = 0, 0, 0, held_out()
    for _, input_ids, _ in batches(arm, seed, Encoder(tokenizer), excluded):
        for text in "".join(tokenizer.batch_decode(input_ids)).split(tokenizer.eos_token):
            found = state_digests(text)
            documents += bool(text)
            states += len(found)
            leaked += len(found & excluded)
    return LeakCheck(documents, states, leaked)
