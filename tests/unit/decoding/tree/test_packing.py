"""Packs share the common tokens of their sequences, and keep families together if there is room."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.decoding.tree.tree import ANSWER_TOKENS, common_prefix, pack_size, shared

TOKENS = st.lists(st.integers(0, 3), min_size=1, max_size=12)
SEQUENCES = st.lists(TOKENS, min_size=1, max_size=12).map(sorted)


@given(SEQUENCES)
def test_the_common_prefix_is_all_that_all_share_but_a_token_each(sequences):
    expected = 0
    while all(len(one) > expected + 1 and one[expected] == sequences[0][expected] for one in sequences):
        expected += 1
    assert common_prefix(sequences) == expected


@pytest.mark.parametrize(
    ("room", "size"),
    [
        pytest.param(1, 1, id="always at least one"),
        pytest.param(2 * ANSWER_TOKENS + 12, 2, id="a family that does not fit is split"),
        pytest.param(3 * ANSWER_TOKENS + 13, 3, id="the first family"),
        pytest.param(4 * ANSWER_TOKENS + 23, 3, id="the second family is not begun if it does not fit"),
        pytest.param(5 * ANSWER_TOKENS + 24, 5, id="both families"),
    ],
)
def test_pack_size(room, size):
    prefix = [9] * 5
    first, second = [1] * 10, [2] * 10
    sequences = [
        prefix + first,
        prefix + first + [1],
        prefix + first + [1, 1],
        prefix + second,
        prefix + second + [2],
    ]
    assert pack_size(sequences, len(prefix), room) == size


def test_shared_counts_the_common_prefix():
    assert shared([1, 2, 3], [1, 2, 4, 5]) == 2
    assert shared([1, 2], [1, 2]) == 2
    assert shared([], [1]) == 0
