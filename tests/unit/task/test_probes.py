"""Minimal pairs: their difference, and their final states, by a second implementation on the text alone."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from bench.records import Completion, Example
from bench.scoring.answers import read_answer
from bench.task.examples import load_examples
from bench.task.probes import PROBES, MinimalPair, minimal_pairs
from bench.task.prompts import PROTOCOLS, build, constraint, gold_statement

SENTENCES = {
    r"Put (.+) into Box (\d)\.": "put",
    r"Move (.+) from Box (\d) to Box (\d)\.": "move",
    r"Remove (.+) from Box (\d)\.": "remove",
}


def sentences(example: Example) -> list[str]:
    return re.findall(r"[^.]+\.", example.description)


def tell(example: Example) -> dict[int, set[str]]:
    """What each box holds at the end, told from the description alone: the second implementation.

    It stores the place of each object. The generator stores the contents of each box.
    """
    opening, *others = (sentence.strip() for sentence in sentences(example))
    where = {
        name: int(box)
        for box, names in re.findall(r"Box (\d) contains ([^,.]+)", opening)
        for name in re.findall(r"the ((?:(?! and ).)+)", names)
    }
    for sentence in others:
        (kind, match) = next((k, m) for p, k in SENTENCES.items() if (m := re.fullmatch(p, sentence)))
        names = re.findall(r"the ((?:(?! and ).)+)", match[1])
        if kind == "put":
            assert not where.keys() & set(names), "an object is put that is in a box already"
            where |= dict.fromkeys(names, int(match[2]))
        elif kind == "move":
            assert {where[name] for name in names} == {int(match[2])}
            where |= dict.fromkeys(names, int(match[3]))
        elif all(where.get(name) == int(match[2]) for name in names):
            for name in names:
                del where[name]
    assert max(Counter(where.values()).values(), default=0) <= 3
    return {box: {name for name, at in where.items() if at == box} for box in range(len(example.queries))}


def check(pair: MinimalPair, version: str) -> None:
    for example in (pair.critical, pair.control):
        assert tell(example) == {query.box: set(query.target) for query in example.queries}
    longer, shorter = Counter(sentences(pair.critical)), Counter(sentences(pair.control))
    added, gone = longer - shorter, shorter - longer
    assert added.total() == 1
    assert gone.total() == (version == "reintroduced")
    (sentence,) = added
    critical, control = (example.queries[pair.box] for example in (pair.critical, pair.control))
    if version == "reintroduced":
        (other,) = gone
        assert sentence.startswith(" Put ") and sentence.split(" into ")[1] == other.split(" into ")[1]
        assert len(critical.target ^ control.target) == 2
        (back,) = critical.target - control.target
        assert re.search(rf"Remove the {back} from", pair.critical.description)
    else:
        assert sentence.startswith(" Remove ")
        assert critical.target == control.target
        named = re.fullmatch(r" Remove the (.+) from Box (\d)\.", sentence)
        assert int(named[2]) == pair.named != pair.box
        nouns = {name.rpartition(" ")[2] for name in critical.target}
        assert named[1].rpartition(" ")[2] in nouns
        assert (named[1] in critical.target) == (version == "noop-remove")


@pytest.mark.parametrize("version", PROBES)
def test_pairs_differ_in_one_sentence_and_say_what_is_true(version: str) -> None:
    for pair in minimal_pairs(version, seed=1, num_pairs=60):
        check(pair, version)


@pytest.mark.nightly
@pytest.mark.parametrize("version", PROBES)
def test_100_000_examples_agree_with_a_second_replay(version: str) -> None:
    """A third of them for each version, from a seed that nothing else uses."""
    for pair in minimal_pairs(version, seed=20_260, num_pairs=16_667):
        check(pair, version)


@pytest.mark.parametrize("version", PROBES)
def test_a_probe_is_a_version_of_the_task(version: str) -> None:
    asked = load_examples("evaluation", version=version)
    assert len(asked) == 716 == len({example.id for example in asked})
    for protocol in PROTOCOLS.values():
        rule = constraint(protocol, version)
        gold = Completion(gold_statement(asked[0]), "stop", 1)
        said = read_answer(gold, rule, version)
        assert said.form == "whole"
        assert said.boxes == tuple(query.target for query in asked[0].queries)
        assert build(asked[0], protocol).text.endswith(asked[0].description)


def test_a_pair_depends_on_its_number_alone() -> None:
    few, many = (list(minimal_pairs("shared-label", 0, n)) for n in (3, 5))
    assert few == many[:3]


def test_a_remove_that_changes_nothing_is_no_operation_on_a_box() -> None:
    for pair in minimal_pairs("noop-remove", seed=2, num_pairs=20):
        counts = [[query.num_ops for query in arm.queries] for arm in (pair.critical, pair.control)]
        assert counts[0] == counts[1]


def test_pairs_need_an_operation() -> None:
    with pytest.raises(ValueError, match="need 1 operation or more, not 0"):
        next(minimal_pairs("noop-remove", 0, 1, max_operations=0))
