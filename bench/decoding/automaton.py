"""Regex, tokenizer -> Tables: the text of each token, the automaton over these texts, and its arrays.

All engines use the same spelling and the same automaton of outlines_core, so they allow the same tokens.
Source of the construction: Willard & Louf (2023), arXiv:2307.09702.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from outlines_core import Index, Vocabulary

from bench.cache import kept

# Tokenizers treat the beginning of a text specially (SentencePiece adds or removes a space there). So a text
# is encoded after one anchor, and a token is decoded after another. Pre-tokenizers never join a letter to a
# line break, and no byte fallback is read together with a colon.
BEFORE_TEXT = "\n"
BEFORE_TOKEN = ":"

FEW = 256
NEVER = -1
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


@dataclass(frozen=True, slots=True)
class Tables:
    """The automaton over tokens as arrays; state 0 is the first.

    tokens: (U,) the ids that are allowed in some state, ascending, so that argmax breaks ties as it does
    over the whole vocabulary. allowed: (S, U) bool. narrow: (S,) bool, the states that allow at most FEW
    tokens; few: the ids that any of these allows. column: (V,) the place of an id in tokens. following:
    (S, U) the next state. NEVER means none in both. over: (S,) bool, the states after which only the end may
    follow. spelling: token id -> its text in an answer. eos: the token that ends an answer, if allowed.
    """

    tokens: torch.Tensor
    allowed: torch.Tensor
    narrow: torch.Tensor
    few: torch.Tensor
    column: np.ndarray
    following: np.ndarray
    over: np.ndarray
    spelling: Sequence[str]
    eos: int

    def after(self, state: int, token: int) -> int | None:
        """The state after a token; None if the state does not allow it."""
        column = self.column.item(token) if token < len(self.column) else NEVER
        following = self.following.item(state, column) if column != NEVER else NEVER
        return None if following == NEVER else following

    def walk(self, state: int, ids: Iterable[int]) -> list[int]:
        """The states after each of the tokens, up to the first that is not allowed."""
        states: list[int] = []
        for token in ids:
            following = self.after(state, token)
            if following is None or token == self.eos:
                break
            states.append(state := following)
        return states

    def is_over(self, state: int) -> bool:
        """Whether only the end of the sequence may follow."""
        return self.over.item(state)


def build_tables(regex: str, tokenizer: Any, device: torch.device) -> Tables:
    """The automaton of a regex over the tokenizer's vocabulary, from the cache if it was built before."""
    spelling, eos = spell(tokenizer), tokenizer.eos_token_id
    lengths = np.fromiter(map(len, spelling), np.int32)
    digest = hashlib.sha256("".join(spelling).encode() + lengths.tobytes()).hexdigest()

    def edges() -> bytes:
        data = io.BytesIO()
        np.savez(data, allow_pickle=False, **edges_of(index_for(regex, tokenizer)))
        return data.getvalue()

    data = kept("tables", [regex, eos, digest, version("outlines_core")], edges)
    with np.load(io.BytesIO(data), allow_pickle=False) as loaded:
        return tables_of(loaded, spelling, eos, device)


def edges_of(index: Index) -> dict[str, np.ndarray]:
    """The automaton as (E,) arrays: state, token, next state.

    State 0 is the first. outlines_core uses other numbers.
    """
    rows = index.get_transitions()
    first = index.get_initial_state()
    others = set().union(rows, *(row.values() for row in rows.values())) - {first}
    number = np.zeros(1 + max(first, *others), np.min_scalar_type(-1 - len(others)))
    number[sorted(others)] = np.arange(1, 1 + len(others))
    source = np.repeat(list(rows), [len(row) for row in rows.values()])
    tokens, targets = (
        np.concatenate([np.fromiter(part, np.int32, len(part)) for part in parts])
        for parts in (rows.values(), [row.values() for row in rows.values()])
    )
    return {"source": number[source], "token": tokens, "target": number[targets]}


def tables_of(
    edges: Mapping[str, np.ndarray], spelling: Sequence[str], eos: int, device: torch.device
) -> Tables:
    source, token, target = edges["source"], edges["token"], edges["target"]
    column = np.full(1 + max(len(spelling), eos), NEVER, np.int32)
    column[token] = 0
    tokens = np.flatnonzero(column + 1)
    column[tokens] = np.arange(len(tokens))
    following = np.full((1 + int(max(source.max(), target.max())), len(tokens)), NEVER, target.dtype)
    following[source, column[token]] = target
    ids, allowed = torch.from_numpy(tokens).to(device), torch.from_numpy(following != NEVER).to(device)
    narrow = allowed.sum(1) <= FEW
    few = ids[allowed[narrow].any(0)]
    going_on = source[token != eos]
    over = np.bincount(going_on, minlength=len(following)) == 0
    return Tables(ids, allowed, narrow, few, column, following, over, spelling, eos)
