from collections import Counter

import pytest

from bench.task.examples import (
    PUBLISHED_COUNTS,
    choose,
    digest_of_examples,
    evaluation_set,
    examples,
    full_split,
)
from bench.task.prompts import SHOTS
from bench.task.world import SIZES

STANDARD = [version for version, size in SIZES.items() if (size.num_boxes, size.num_operations) == (7, 12)]


def counts(found) -> list[int]:
    counted = Counter(query.num_ops for example in found for query in example.queries)
    return [counted[num_ops] for num_ops in range(max(counted) + 1)]


@pytest.fixture(scope="module")
def default_set():
    return evaluation_set()


def test_the_default_evaluation_set_never_changes(default_set):
    assert digest_of_examples(default_set).startswith("aa1ddb948222")


@pytest.mark.parametrize("version", STANDARD)
def test_the_evaluation_set_has_exactly_the_published_counts(version):
    found = evaluation_set(version=version)
    assert counts(found) == list(PUBLISHED_COUNTS)
    assert len(found) == len({example.id for example in found}) == 716
    assert {example.num_operations for example in found} <= set(range(1, 13))
    assert {example.version for example in found} == {version}


@pytest.mark.parametrize("version", sorted(SIZES.keys() - set(STANDARD)))
def test_a_version_of_another_size_asks_as_many_examples(version):
    found = evaluation_set(version=version)
    assert len({example.id for example in found}) == 716
    assert {len(example.queries) for example in found} == {SIZES[version].num_boxes}


def test_a_choice_has_exactly_the_counts_asked_for():
    candidates = full_split(seed=1, num_scenarios=40)
    wanted = counts(candidates[::20])
    assert counts(choose(candidates, wanted, seed=0)) == wanted


@pytest.mark.nightly
def test_the_solver_meets_the_counts_of_the_committed_choice(default_set):
    chosen = choose(full_split(), PUBLISHED_COUNTS, seed=0)
    assert counts(chosen) == counts(default_set)  # solvers of other versions may find another solution


def test_counts_that_no_choice_has_are_refused():
    with pytest.raises(ValueError, match="more scenarios"):
        choose(full_split(num_scenarios=3), PUBLISHED_COUNTS, seed=0)


def test_the_full_split_is_every_state_after_an_operation():
    found = full_split(seed=1, num_scenarios=5)
    assert len(found) == 5 * 12
    assert {example.num_operations for example in found} == set(range(1, 13))


def test_a_query_counts_what_changed_its_box():
    last = examples(SHOTS)[-1]  # the protocol's second example: two operations on boxes 0, 2 and 3 ...
    assert [query.num_ops for query in last.queries] == [2, 0, 1, 2, 1, 0, 1]
    assert last.queries[3].by_kind == (1, 0, 1)
    assert last.queries[3].target == {"coat"}
    assert last.queries[3].earlier == (frozenset(), frozenset({"paper", "string"}))
    assert last.queries[3].mentioned == {"coat", "paper", "string"}


def test_the_digest_tells_data_sets_apart(default_set):
    assert digest_of_examples(default_set) == digest_of_examples(list(default_set))
    assert (
        len(
            {
                digest_of_examples(default_set),
                digest_of_examples(default_set[1:]),
                digest_of_examples(default_set[::-1]),
            }
        )
        == 3
    )
