"""The automaton's tables allow the same tokens as outlines and as another regex engine."""

from __future__ import annotations

import re

import pytest
import regex as partial
import torch

from bench.decoding.automaton import build_tables, encode_inside, index_of, spell, tokens_for
from bench.task.prompts import gold_statement

CPU = torch.device("cpu")


@pytest.mark.parametrize("protocol", ["paper", "strict"])
def test_tables_equal_the_automaton_over_the_whole_vocabulary(protocol, request, tokenizer):
    regex = request.getfixturevalue(protocol).regex
    whole = {token: text for token, text in enumerate(spell(tokenizer)) if text}
    index = index_of(regex, whole, tokenizer.eos_token_id)
    rows = index.get_transitions()
    tables = build_tables(regex, tokenizer, CPU)
    pairs, seen = [(0, index.get_initial_state())], {}
    while pairs:  # walk both from their first states
        ours, theirs = pairs.pop()
        assert seen.setdefault(ours, theirs) == theirs
        allowed = tables.tokens[tables.allowed[ours]].tolist()
        assert set(allowed) == rows[theirs].keys()
        assert tables.is_over(ours) is (allowed == [tables.eos])
        following = {(tables.after(ours, token), rows[theirs][token]) for token in allowed}
        pairs += [pair for pair in following if pair[0] not in seen]
    assert len(seen) == len(tables.following) == len(rows)


@pytest.mark.parametrize("protocol", ["paper", "strict"])
def test_a_state_allows_the_tokens_that_lead_to_a_match(protocol, request, tokenizer, states):
    """Compared with another regex engine, which tests whether a text can be continued to a match."""
    pattern = partial.compile(request.getfixturevalue(protocol).regex)
    spelling, eos = spell(tokenizer), tokenizer.eos_token_id
    tables = build_tables(pattern.pattern, tokenizer, CPU)
    text, state = "", 0
    for token in encode_inside(tokenizer, [gold_statement(states[-1])])[0]:
        allowed = {
            at for at, more in enumerate(spelling) if more and pattern.fullmatch(text + more, partial=True)
        }
        allowed |= {eos} if pattern.fullmatch(text) else set()
        assert set(tables.tokens[tables.allowed[state]].tolist()) == allowed
        text, [state] = text + spelling[token], tables.walk(state, [token])
    assert tables.is_over(state)


def test_only_tokens_of_characters_that_a_match_has_are_indexed():
    spelling = ("a", "ab", "ba", "", "bb", "c", "abc", " ", "é", "abd", "ca")
    texts = tokens_for("(ab)*c", spelling)
    assert texts == {at: text for at, text in enumerate(spelling) if text and set(text) <= set("abc")}


def test_a_token_beyond_the_tokenizer_s_is_never_allowed(tokenizer):
    """A model's embedding may have more rows than its tokenizer has tokens."""
    tables = build_tables("ab?c", tokenizer, CPU)
    assert tables.after(0, len(tokenizer) + 7) is None


def test_a_walk_ends_at_the_first_token_that_is_refused(tokenizer):
    tables = build_tables("ab?c", tokenizer, CPU)
    a, b, c, d = (tokenizer.convert_tokens_to_ids(letter) for letter in "abcd")
    assert len(tables.walk(0, [a, b, c])) == 3
    assert len(tables.walk(0, [a, d, c])) == 1
    assert tables.walk(0, [d]) == []


def test_an_answer_is_over_where_only_its_end_may_follow(tokenizer):
    tables = build_tables("ab?", tokenizer, CPU)
    a, b = (tokenizer.convert_tokens_to_ids(letter) for letter in "ab")
    after_a, after_ab = tables.walk(0, [a, b])
    assert not tables.is_over(after_a)
    assert tables.is_over(after_ab)


def test_every_state_of_the_paper_reads_back_as_its_regex(paper, tokenizer):
    tables = build_tables(paper.regex, tokenizer, CPU)
    text = "Statement: " + ", ".join(f"Box {box} contains the car" for box in range(7)) + "."
    ids = tokenizer(text, add_special_tokens=False).input_ids
    states = tables.walk(0, ids)
    assert len(states) == len(ids)
    assert tables.is_over(states[-1])
    assert re.fullmatch(paper.regex, "".join(tables.spelling[token] for token in ids))
