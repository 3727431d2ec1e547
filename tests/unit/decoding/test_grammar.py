"""A grammar is equivalent to its regex, in the notation of llama.cpp."""

from __future__ import annotations

import pytest

from bench.decoding.server import gbnf
from bench.task.prompts import PROTOCOLS, constraint
from bench.task.wording import WORDINGS
from fixtures.servers import regex_of


@pytest.mark.parametrize(
    ("regex", "grammar"),
    [
        pytest.param("ab", 'root ::= "a" "b"', id="characters"),
        pytest.param(r"a\.", 'root ::= "a" "."', id="an escaped one"),
        pytest.param('"', r'root ::= "\""', id="a quotation mark"),
        pytest.param("( [a-zA-Z]+)*", 'root ::= ( " " [a-zA-Z] + ) *', id="classes and repetitions"),
        pytest.param("(no|x{0,2})?", 'root ::= ( "n" "o" | "x" {0,2} ) ?', id="alternatives and bounds"),
    ],
)
def test_gbnf(regex: str, grammar: str) -> None:
    assert gbnf(regex) == grammar


@pytest.mark.parametrize("version", WORDINGS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_constraint_can_be_written_as_a_grammar(protocol: str, version: str) -> None:
    """Read back by the test server's own parser of grammars."""
    regex = constraint(PROTOCOLS[protocol], version).regex
    assert regex_of(gbnf(regex)) == regex


@pytest.mark.parametrize("regex", [r"\d+", "a.c", "(?=a)b", "(?:a)", "^a", "a$", r"(a)\1", "[^", "a{x}"])
def test_anything_else_is_refused(regex: str) -> None:
    with pytest.raises(ValueError, match="is not supported"):
        gbnf(regex)
