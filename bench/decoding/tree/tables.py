"""Regex, tokenizer -> Tables: which token may come next in each state of the automaton, and what follows.

The automaton is outlines_core's, over the text of each token as outlines spells it, so that it allows what
the reference engine allows. Source of the construction: Willard & Louf (2023), arXiv:2307.09702.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from outlines_core import Index, Vocabulary

from bench.decoding.spelling import spell

FEW = 256


@dataclass(frozen=True, slots=True)
class Tables:
    """The automaton over tokens as arrays; state 0 is the first.

    tokens: (U,) the ids that are allowed in some state, ascending, so that argmax breaks ties as it does
    over the whole vocabulary. allowed: (S, U) bool. narrow: (S,) bool, the states that allow at most FEW
    tokens; few: the ids that any of these allows. follow: state -> {token id: next state}.
    spelling: token id -> its text in an answer. eos: ends an answer where it is allowed.
    """

    tokens: torch.Tensor
    allowed: torch.Tensor
    narrow: torch.Tensor
    few: torch.Tensor
    follow: tuple[dict[int, int], ...]
    spelling: dict[int, str]
    eos: int

    def walk(self, state: int, ids: Iterable[int]) -> list[int]:
        """The states after each of the tokens, as far as they are allowed."""
        states: list[int] = []
        for token in ids:
            following = self.follow[state].get(token)
            if following is None or token == self.eos:
                break
            states.append(state := following)
        return states

    def is_over(self, state: int) -> bool:
        """Whether nothing but the end of the sequence may follow."""
        return self.follow[state].keys() == {self.eos}


def build_tables(regex: str, tokenizer: Any, device: torch.device) -> Tables:
    """The automaton of a regex over the tokenizer's vocabulary."""
    texts = spell(tokenizer)
    eos = tokenizer.eos_token_id
    fitting = fitting_texts(regex, set(texts) - {""})
    spelling = {token: text for token, text in enumerate(texts) if text in fitting}
    transitions = index_of(regex, spelling, eos)
    number = {state: position for position, state in enumerate(transitions)}
    follow = tuple(
        {token: number[following] for token, following in row.items()} for row in transitions.values()
    )
    tokens = sorted(set().union(*follow))
    column = {token: position for position, token in enumerate(tokens)}
    allowed = torch.zeros(len(follow), len(tokens), dtype=torch.bool)
    for state, row in enumerate(follow):
        allowed[state, [column[token] for token in row]] = True
    ids, allowed = torch.tensor(tokens, device=device), allowed.to(device)
    narrow = allowed.sum(1) <= FEW
    return Tables(ids, allowed, narrow, ids[allowed[narrow].any(0)], follow, spelling, eos)


def fitting_texts(regex: str, texts: set[str]) -> set[str]:
    """The texts that can stand somewhere in a match: all others are never allowed, whatever the state.

    Found with an automaton over single characters, since one over a whole vocabulary takes seconds.
    """
    characters = {character: number for number, character in enumerate(sorted(set().union(*texts)))}
    transitions = index_of(regex, {number: text for text, number in characters.items()}, len(characters))
    steps = {
        character: {state: row[number] for state, row in transitions.items() if number in row}
        for character, number in characters.items()
    }

    def fits(text: str) -> bool:
        states = set(transitions)
        for character in text:
            step = steps[character]
            states = {step[state] for state in states if state in step}
            if not states:
                return False
        return True

    return {text for text in texts if fits(text)}


def index_of(regex: str, spelling: dict[int, str], eos: int) -> dict[int, dict[int, int]]:
    """State -> {token: next state} for every state that can be reached, the first one first."""
    tokens: dict[str, list[int]] = {}
    for token, text in spelling.items():
        tokens.setdefault(text, []).append(token)
    index = Index(regex, Vocabulary(eos, tokens))
    transitions = index.get_transitions()
    first = index.get_initial_state()
    others = set(transitions).union(*(row.values() for row in transitions.values())) - {first}
    return {state: transitions.get(state, {}) for state in (first, *sorted(others))}
