"""Tokenizer -> the text that each token stands for in the middle of an answer, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from outlines.models.transformers import TransformerTokenizer

# Tokenizers treat the beginning of a text specially (SentencePiece adds a space there, or takes one away).
# So a text is encoded behind one anchor and a token is decoded behind another. Pre-tokenizers never join a
# letter to a line break, and no byte fallback is read together with a colon.
BEFORE_TEXT = "\n"
BEFORE_TOKEN = ":"


def spell(tokenizer: Any) -> list[str]:
    """Token id -> its text in the middle of an answer.

    Empty for what no answer holds: the end of the sequence, what is spelled like it, and tokens without text.
    A part of a character is spelled U+FFFD.
    """
    anchor = encode(tokenizer, BEFORE_TOKEN)[-1]
    size = 1 + max(tokenizer.get_vocab().values())
    before, *texts = decode_each(tokenizer, [[anchor], *([anchor, token] for token in range(size))])
    end = texts[tokenizer.eos_token_id]
    return ["" if text == end else text.removeprefix(before) for text in texts]


def decode_each(tokenizer: Any, sequences: Sequence[list[int]]) -> list[str]:
    """The text of each sequence as it is, special tokens included; in one call where that is possible."""
    if tokenizer.is_fast:
        return tokenizer.backend_tokenizer.decode_batch(sequences, skip_special_tokens=False)
    return [tokenizer.decode(ids, clean_up_tokenization_spaces=False) for ids in sequences]


def encode(tokenizer: Any, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False).input_ids


def encode_inside(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """The tokens of each text, as they are in the middle of a longer one."""
    anchor = len(encode(tokenizer, BEFORE_TEXT))
    encoded = tokenizer([BEFORE_TEXT + text for text in texts], add_special_tokens=False).input_ids
    return [ids[anchor:] for ids in encoded]


class SpelledTokenizer(TransformerTokenizer):
    """outlines' view of a tokenizer, with our spelling in place of its own.

    outlines puts a space before every token that begins with U+2581 (since its pull request 1817, and still
    in 1.3.3), because SentencePiece's decoder drops that space at the beginning of a text. Gemma's decoder
    keeps it, so that outlines spells Gemma's "▁the" with two spaces and no right answer can be written.
    This class can go once outlines looks at the decoder.
    """

    def __init__(self, tokenizer: Any, spelling: Sequence[str]) -> None:
        super().__init__(tokenizer)
        self.spelling = spelling

    def convert_token_to_string(self, token: str) -> str:
        return self.spelling[self.vocabulary[token]]
