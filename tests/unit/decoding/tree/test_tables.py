"""The automaton's tables allow what outlines allows, and the prefilter drops nothing that fits."""

from __future__ import annotations

import re

import pytest
import torch

from bench.decoding.spelling import spell
from bench.decoding.tree.tables import build_tables, fitting_texts, index_of

CPU = torch.device("cpu")


@pytest.mark.parametrize("protocol", ["paper", "strict"])
def test_prefiltered_tables_equal_the_automaton_over_the_whole_vocabulary(protocol, request, tokenizer):
    regex = request.getfixturevalue(protocol).regex
    spelling = {token: text for token, text in enumerate(spell(tokenizer)) if text}
    index = index_of(regex, spelling, tokenizer.eos_token_id)
    whole = list(index.values())
    tables = build_tables(regex, tokenizer, CPU)
    pairs, seen = [(0, 0)], {}
    numbers = {state: row for row, state in enumerate(index)}
    while pairs:  # walk both from their first states
        ours, theirs = pairs.pop()
        assert seen.setdefault(ours, theirs) == theirs
        assert tables.follow[ours].keys() == whole[theirs].keys()
        allowed = set(tables.tokens[tables.allowed[ours]].tolist())
        assert allowed == whole[theirs].keys()
        following = {(tables.follow[ours][token], numbers[whole[theirs][token]]) for token in allowed}
        pairs += [pair for pair in following if pair[0] not in seen]
    assert len(seen) == len(tables.follow) == len(whole)


def test_a_text_fits_if_it_can_stand_somewhere_in_a_match():
    texts = {"a", "ab", "ba", "aab", "bb", "c", "abc", " ", "é", ""}
    matches = ["ab" * n + "c" for n in range(4)]
    assert fitting_texts("(ab)*c", texts) == {
        text for text in texts if any(text in match for match in matches)
    }


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
