"""Documents -> a small byte-level BPE tokenizer with the object names and verbs as whole tokens."""

from __future__ import annotations

import re
from functools import lru_cache
from random import Random

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from bench.training.corpora import NAMES
from bench.training.mixtures import draw

VOCAB_SIZE = 768
EOS = "<|endoftext|>"
PIECE = r" +(?= )| ?[A-Za-z]+| ?[0-9]|\n| ?[^\sA-Za-z0-9]|\s"
# Whole tokens for the arms that follow the base, whose own text has few of these words.
WORDS = """
 Put Move Remove into from to put move remove def return print for in if else add assert pop box boxes
 while not or len set list dict class self True False None state store take give index value key item
 count range sum min max How many more than left has have had then now gives buys takes loses gets each
 total times plus minus together User Assistant user assistant system Okay Please tell me of you what is
 there do does it Sure Thanks
"""


def train_tokenizer(seed: int, num_documents: int = 4000) -> PreTrainedTokenizerFast:
    rng = Random(f"tokenizer/{seed}")
    texts = ["".join(text for text, _ in draw("distracted", rng, 0.0)) for _ in range(num_documents)]
    texts += [" ".join(WORDS.split("\n")), *(f" {name}" for name in NAMES)] * num_documents
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECE), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe.train_from_iterator(
        texts,
        trainers.BpeTrainer(vocab_size=VOCAB_SIZE, special_tokens=[EOS], initial_alphabet=sorted(alphabet)),
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe, eos_token=EOS, pad_token=EOS, clean_up_tokenization_spaces=False
    )


class Encoder:
    """Text -> token ids, piece by piece from a cache. There are few pieces, and no token spans two."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.eos = tokenizer.eos_token_id
        self.piece_ids = lru_cache(100_000)(
            lambda piece: tokenizer(piece, add_special_tokens=False).input_ids
        )

    def __call__(self, text: str) -> list[int]:
        return [i for piece in re.findall(PIECE, text) for i in self.piece_ids(piece)]
