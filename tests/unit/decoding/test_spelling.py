"""A token's text is the text that the tokenizer's decoder gives it in the middle of an answer."""

from __future__ import annotations

import copy

import pytest

from bench.decoding.automaton import encode_inside, index_for, spell
from bench.task.examples import evaluation_set
from bench.task.prompts import gold_statement
from fixtures.checkpoints import STYLES, Style, make_tokenizer

TEXTS = [gold_statement(example) for example in evaluation_set()[::30]]
TEXTS += ["Quixotic jazz, VWXYZ 6789", " a", "a b, c d.", "the the the", "  two spaces"]


@pytest.mark.parametrize("style", STYLES)
def test_the_tokens_of_a_text_spell_it(style: Style) -> None:
    tokenizer = make_tokenizer(style)
    spelling = spell(tokenizer)
    spelled = ["".join(spelling[token] for token in ids) for ids in encode_inside(tokenizer, TEXTS)]
    assert spelled == TEXTS


@pytest.mark.parametrize(
    ("style", "token", "text"),
    [
        pytest.param("byte-level", "Ġthe", " the", id="byte-level: a space before the word"),
        pytest.param("byte-level", "â", "\N{REPLACEMENT CHARACTER}", id="byte-level: a part of a character"),
        pytest.param("sentencepiece", "▁the", " the", id="SentencePiece: a space before the word"),
        pytest.param("sentencepiece", "▁", " ", id="SentencePiece: a space alone"),
        pytest.param("sentencepiece", "<0x20>", " ", id="SentencePiece: a space as a byte"),
        pytest.param("sentencepiece", "<0x41>", "A", id="SentencePiece: a letter as a byte"),
        pytest.param("gemma", "▁the", " the", id="Gemma: one space before the word, not two"),
        pytest.param("gemma", "▁", " ", id="Gemma: a space alone"),
        pytest.param("gemma", "<0xE2>", "\N{REPLACEMENT CHARACTER}", id="Gemma: a part of a character"),
        pytest.param("gemma", "</s>", "", id="the end of an answer has no text"),
        pytest.param("gemma", "<s>", "<s>", id="another special token has its name"),
    ],
)
def test_a_token_is_spelled(style: Style, token: str, text: str) -> None:
    tokenizer = make_tokenizer(style)
    index = tokenizer.convert_tokens_to_ids(token)
    assert tokenizer.convert_ids_to_tokens(index) == token
    assert spell(tokenizer)[index] == text


def test_an_automaton_is_built_once_for_both_engines_and_anew_for_another_regex_or_more_tokens() -> None:
    tokenizer = make_tokenizer()
    one = index_for("a+b", tokenizer)
    assert index_for("a+b", tokenizer) is one
    assert index_for("a+b", copy.copy(tokenizer)) is not one
    assert index_for("a+", tokenizer) is not one
    first = index_for("a+b", tokenizer)
    tokenizer.add_tokens(["aab"])
    more = index_for("a+b", tokenizer)
    assert len(more.get_transitions()[more.get_initial_state()]) == 1 + len(
        first.get_transitions()[first.get_initial_state()]
    )


def test_tidied_decoding_does_not_change_an_answer() -> None:
    """Some checkpoints ask transformers to write " do not" as " don't" (clean_up_tokenization_spaces)."""
    tokenizer = make_tokenizer()
    tokenizer.clean_up_tokenization_spaces = True
    [ids] = encode_inside(tokenizer, ["boxes do not"])
    assert "".join(spell(tokenizer)[token] for token in ids) == "boxes do not"
