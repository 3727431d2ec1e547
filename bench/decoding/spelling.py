"""Tokenizer -> the text that each token stands for within an answer."""

from __future__ import annotations

from typing import Any

from outlines.models.transformers import TransformerTokenizer


def spell(tokenizer: Any) -> dict[int, str]:
    """Token id -> text, for every token but the end of the sequence and what is spelled like it."""
    speller = TransformerTokenizer(tokenizer)
    end = speller.convert_token_to_string(tokenizer.eos_token)
    texts = {token: speller.convert_token_to_string(word) for word, token in tokenizer.get_vocab().items()}
    return {token: text for token, text in texts.items() if text != end}
