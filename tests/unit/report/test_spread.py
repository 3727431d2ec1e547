"""The spread between seeds of one model, beside the interval of one of them."""

from __future__ import annotations

from dataclasses import replace

from bench.proportions import accuracy
from bench.records import ModelEntry, Results, Suite
from bench.report.markdown import markdown
from bench.report.page import html
from bench.report.tables import spread_table
from bench.run.plans import Plan
from bench.run.session import Session
from bench.store import Store


def test_the_report_shows_the_spread_between_seeds_beside_the_interval(results: Results) -> None:
    seeds = {f"seed{n}": {"ops1plus": accuracy(right, 1000)} for n, right in enumerate((300, 320, 340))}
    found = replace(
        results, accuracies=seeds, evaluations={}, verdicts=(), groups={"tiny": tuple(seeds)}, over_random={},
        factors={}, baseline={"ops1plus": 0.1},
    )  # fmt: skip
    table = spread_table(found)
    assert table is not None
    assert table.rows == (("tiny", "1+", "3", "32.0", "30.0 to 34.0", "2.0", "± 2.9"),)
    for text in (markdown(found), html(found, {})):
        assert "Spread between seeds" in text and "30.0 to 34.0" in text
    assert spread_table(results) is None


def test_a_group_is_of_models_that_were_evaluated(asked) -> None:
    models = {n: ModelEntry(n, f"/{n}", group="g" if n != "other" else "") for n in ("a", "b", "c", "other")}
    session = Session(Suite("s", models, ()), Plan(tuple(asked)), Store(":memory:"))
    assert session.groups(["a", "b", "other"]) == {"g": ("a", "b")}
    assert session.groups(["a", "other"]) == {}
