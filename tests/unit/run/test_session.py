"""Many models, one family of tests: cases and report agree."""

import pytest

from bench.records import Evaluation, ModelEntry, Pair, Scenario, Score, Suite
from bench.run.plans import Plan
from bench.run.session import Session
from bench.store import Store
from bench.task.examples import examples
from bench.task.prompts import SHOTS

PAIRS = tuple(Pair("code", "base", variant) for variant in ("better", "other", "absent"))


ASKED = tuple(examples(Scenario(f"s{number:02}", SHOTS.initial, SHOTS.operations))[1] for number in range(40))


def evaluation(name: str, right: int) -> Evaluation:
    """Right about box 0, which one operation changed, in the first `right` scenarios."""
    scores = (
        Score(example.id, example.scenario_id, 0, 1, None if number < right else "other")
        for number, example in enumerate(ASKED)
    )
    return Evaluation(name, {}, tuple(scores), {}, "reference", {})


@pytest.fixture
def session() -> Session:
    """Two variants are right in 7 more scenarios than their base, so p is about .01. A third is missing."""
    names = ("base", "better", "other", "absent")
    suite = Suite("s", {name: ModelEntry(name, f"/nowhere/{name}") for name in names}, PAIRS)
    made = Session(suite, Plan(ASKED), Store(":memory:"))
    made.evaluations = {
        name: evaluation(name, right) for name, right in zip(names, (20, 27, 27), strict=False)
    }
    return made


@pytest.mark.parametrize(
    ("lost", "tests"), [("failed", 3), ("skipped", 2)], ids=["a failed pair counts", "an absent one does not"]
)
def test_case_and_report_agree_when_a_pair_of_the_family_is_lost(session: Session, lost: str, tests: int):
    getattr(session, lost)["absent"] = OSError("gone") if lost == "failed" else "needs a GPU"
    case = session.verdict(PAIRS[0], "ops1plus", PAIRS)
    (told,) = [
        entry
        for entry in session.results([PAIRS], {}).verdicts
        if entry.comparison.pair == PAIRS[0] and entry.comparison.bucket == "ops1plus"
    ]
    assert case == told
    assert case.comparison.tests == tests
    assert case.comparison.p_adjusted == pytest.approx(tests * case.comparison.difference.p)
