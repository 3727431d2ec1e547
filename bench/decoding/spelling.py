"""Tokenizer -> the text of each token in the middle of an answer, and back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from outlines_core import Index, Vocabulary

from bench.cache import kept

# Tokenizers treat the beginning of a text specially (SentencePiece adds or removes a space there). So a text
# is encoded after one anchor, and a token is decoded after another. Pre-tokenizers never join a letter to a
# line break, and no byte fallback is read together with a colon.
BEFORE_TEXT = "\n"
BEFORE_TOKEN = ":"

Spelling = tuple[str, ...]

KNOWN: WeakKeyDictionary[Any, Spelling] = WeakKeyDictionary()  # in this process
INDEXED: WeakKeyDictionary[Any, tuple[str, Spelling, Index]] = WeakKeyDictionary()  # a tokenizer's last index


def spell(tokenizer: Any) -> Spelling:
    """Token id -> its text in the middle of an answer.

    It is empty for tokens that no answer contains: the end of the sequence, tokens with the same text, and
    tokens without text. A part of a character is spelled U+FFFD.
    """
    if len(found := KNOWN.get(tokenizer, ())) < len(tokenizer):  # new, or tokens were added
        KNOWN[tokenizer] = found = spell_now(tokenizer)
    return found


def spell_now(tokenizer: Any) -> Spelling:
    """The spelling from the cache, or else from the tokenizer."""
    words = words_of(tokenizer)
    anchor = encode(tokenizer, BEFORE_TOKEN)[-1]
    end = tokenizer.eos_token_id

    def decode() -> bytes:
        before, *texts = decode_each(tokenizer, [[anchor], *([anchor, token] for token in range(len(words)))])
        return json.dumps(
            ["" if text == texts[end] else text.removeprefix(before) for text in texts]
        ).encode()

    if not tokenizer.is_fast:  # its decoder is code, which the digest does not cover
        return tuple(json.loads(decode()))
    vocabulary = hashlib.sha256(json.dumps(words).encode()).hexdigest()
    decoder = tokenizer.backend_tokenizer.decoder
    steps = decoder.__getstate__().decode() if decoder else ""
    return tuple(json.loads(kept("spelling", [vocabulary, steps, anchor, end], decode)))


def words_of(tokenizer: Any) -> list[str]:
    """Token id -> its name in the vocabulary."""
    vocabulary = tokenizer.get_vocab()
    words = [""] * (1 + max(vocabulary.values()))
    for word, token in vocabulary.items():
        words[token] = word
    return words


def decode_each(tokenizer: Any, sequences: Sequence[list[int]]) -> list[str]:
    """The unchanged text of each sequence, with special tokens; in one call if possible."""
    if tokenizer.is_fast:
        return tokenizer.backend_tokenizer.decode_batch(sequences, skip_special_tokens=False)
    return [tokenizer.decode(ids, clean_up_tokenization_spaces=False) for ids in sequences]


def encode(tokenizer: Any, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False).input_ids


def encode_inside(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """The tokens of each text inside a longer text."""
    anchor = len(encode(tokenizer, BEFORE_TEXT))
    encoded = tokenizer([BEFORE_TEXT + text for text in texts], add_special_tokens=False).input_ids
    return [ids[anchor:] for ids in encoded]


def tokens_for(regex: str, spelling: Sequence[str]) -> dict[int, str]:
    """Token id -> text, for the tokens whose characters all occur in matches of the regex.

    No other token is ever allowed, and an index without them takes a tenth of the time.
    """
    characters = sorted(set("".join(spelling)))
    index = index_of(regex, dict(enumerate(characters)), end=len(characters))
    followed = set().union(*index.get_transitions().values()) - {len(characters)}
    allowed = {characters[number] for number in followed}
    return {token: text for token, text in enumerate(spelling) if text and allowed.issuperset(text)}


def index_for(regex: str, tokenizer: Any) -> Index:
    """The automaton of a regex over a tokenizer's spelling, built once for both engines.

    outlines' own spelling is wrong for Gemma. It puts a space before every token that begins with U+2581
    (since its pull request 1817, and still in 1.3.3), because SentencePiece's decoder drops that space at the
    beginning of a text. Gemma's decoder keeps it, so outlines spells "▁the" with two spaces. When outlines
    checks the decoder, the reference engine can use the automaton of outlines' own generator again.
    """
    spelling = spell(tokenizer)
    known = INDEXED.get(tokenizer)
    if known is None or known[:2] != (regex, spelling):
        index = index_of(regex, tokens_for(regex, spelling), tokenizer.eos_token_id)
        INDEXED[tokenizer] = known = regex, spelling, index
    return known[2]


def index_of(regex: str, texts: Mapping[int, str], end: int) -> Index:
    """outlines_core's automaton of a regex over tokens."""
    tokens: dict[str, list[int]] = {}
    for token, text in texts.items():
        tokens.setdefault(text, []).append(token)
    return Index(regex, Vocabulary(end, tokens))
