"""What a comparison means: every outcome, from figures chosen by hand."""

import pytest

from bench.records import BUCKETS, Comparison, Evaluation, Pair, Score, accuracy
from bench.scoring.stats import margins
from bench.scoring.verdicts import adjust_over_pairs, compare, compare_recorded, fails, judge, name_bucket

PAIR = Pair("code", "base", "variant")


def compared(
    base: int, variant: int, n: int = 1000, baseline: float = 0.2, pair: Pair = PAIR
) -> list[Comparison]:
    """From counts, on ops1plus alone."""
    recorded = [{"ops1plus": accuracy(correct, n)} for correct in (base, variant)]
    return compare_recorded(pair, *recorded, baseline={"ops1plus": baseline})


@pytest.mark.parametrize(
    ("base", "variant", "outcome"),
    [
        pytest.param(300, 500, "supported", id="clear gain"),
        pytest.param(500, 300, "contradicted", id="clear loss"),
        pytest.param(300, 310, "inconclusive", id="too close to call"),
        pytest.param(50, 150, "below baseline", id="a gain below random guessing"),
        pytest.param(150, 300, "supported", id="only the variant beats random"),
    ],
)
def test_outcome(base, variant, outcome):
    (found,) = compared(base, variant)
    assert judge(found).outcome == outcome


def test_a_sentence_says_the_figures():
    (found,) = compared(300, 500)
    sentence = judge(found).sentence
    for figure in ("20.0 points above", "50.0% against 30.0%", "random 20.0%", "n = 1000", "from counts"):
        assert figure in sentence


def test_an_open_case_says_what_this_sample_could_show_or_that_the_two_agree():
    assert "would show a difference of" in judge(compared(300, 310)[0]).sentence
    assert "agree within 3.0 points" in judge(compared(30000, 30010, n=100_000)[0]).sentence


@pytest.mark.parametrize(
    ("control", "base", "variant", "failing"),
    [
        pytest.param(None, 500, 300, True, id="contradicted"),
        pytest.param(None, 300, 310, False, id="open"),
        pytest.param("positive", 300, 500, False, id="positive control shows its gain"),
        pytest.param("positive", 300, 310, True, id="positive control shows none"),
        pytest.param("negative", 300, 310, False, id="negative control shows none"),
        pytest.param("negative", 300, 500, True, id="negative control shows a gain"),
        pytest.param("negative", 50, 150, True, id="negative control shows a gain below random guessing"),
        pytest.param("positive", 50, 150, False, id="positive control shows its gain below random guessing"),
    ],
)
def test_what_fails_a_case(control, base, variant, failing):
    (found,) = compared(base, variant, pair=Pair("code", "base", "variant", control))
    assert fails(judge(found)) is failing


def test_holm_makes_a_family_stricter_and_counts_pairs_that_failed():
    one, other = compared(300, 345), compared(300, 345, pair=Pair("code", "base", "other"))
    alone, family, with_failed = (
        adjust_over_pairs(pairs, untested)[0][0].p_adjusted
        for pairs, untested in (([one], 0), ([one, other], 0), ([one, other], 1))
    )
    assert family == pytest.approx(2 * alone) and with_failed == pytest.approx(3 * alone)


def evaluation(name: str, right: int) -> Evaluation:
    """Forty scenarios of two queries, with one and two operations; the first `right` scenarios are right."""
    found = tuple(
        Score(f"s{number}-1", f"s{number}", box, box + 1, None if number < right else "other")
        for number in range(40)
        for box in (0, 1)
    )
    return Evaluation(name, {}, found, {}, "reference", {})


def test_a_pair_is_compared_on_every_bucket_that_has_queries():
    expected = {(f"s{number}-1", box): 0.1 for number in range(40) for box in (0, 1)}
    baseline = dict.fromkeys(BUCKETS, 0.1)
    base, variant = evaluation("base", 8), evaluation("variant", 30)
    over = margins(base.scores, expected), margins(variant.scores, expected)
    found = compare(PAIR, base, variant, over, baseline)
    assert [entry.bucket for entry in found] == ["ops1", "ops2", "ops1plus"]
    assert all(entry.paired and entry.baseline == pytest.approx(0.1) for entry in found)
    assert [judge(entry).outcome for entry in found] == ["supported"] * 3


def test_recorded_figures_are_compared_where_this_data_has_a_baseline():
    recorded = {"ops1": accuracy(30, 100), "ops7": accuracy(3, 10)}
    assert [entry.bucket for entry in compare_recorded(PAIR, recorded, recorded, {"ops1": 0.2})] == ["ops1"]


def test_buckets_are_named_as_people_say_them():
    assert [name_bucket(bucket) for bucket in (BUCKETS[1], BUCKETS[3], "ops1plus")] == [
        "queries with 1 operation",
        "queries with 3 operations",
        "queries with 1 or more operations",
    ]
