"""A dry run shows the first prompt, its right answer, and the shortest time for the arithmetic."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench import models
from bench.records import Example, ModelEntry
from bench.run import progress
from bench.run.plans import Plan
from bench.run.progress import distinct, estimate, num_weights, preview
from bench.task.prompts import PROTOCOLS, gold_statement


@pytest.fixture
def entry(random_checkpoints: Path) -> ModelEntry:
    return ModelEntry("one", str(random_checkpoints / "one"))


def test_it_shows_what_the_model_sees_and_should_answer(
    entry: ModelEntry, evaluation_examples: tuple[Example, ...]
) -> None:
    plan = Plan(evaluation_examples[:2])
    lines = preview(entry, plan).split("\n")
    first = lines.index("  first prompt, as the model sees it:")
    assert lines[first + 1] == f"    {PROTOCOLS['paper'].instruction}"
    assert f"    Description: {evaluation_examples[0].description}" in lines[first:]
    assert f"  its right answer: {gold_statement(evaluation_examples[0])}" in lines
    assert re.fullmatch(
        r"  estimate: at least \d+\.\d minutes on this CPU: [\d,]+ distinct tokens .*", lines[-1]
    )
    assert "  verdict: can be asked" in lines


def test_weights_are_counted_from_the_files(entry: ModelEntry) -> None:
    loaded = models.load(entry, ["cpu"]).model
    assert num_weights(entry) == sum(weight.numel() for weight in loaded.parameters())


def test_a_shared_prefix_is_counted_once() -> None:
    assert distinct([[1, 2, 3], [1, 2, 4, 5], [1, 2, 3], [7]]) == 6


def test_the_estimate_is_two_operations_for_each_weight_and_token(entry: ModelEntry, monkeypatch) -> None:
    monkeypatch.setattr(progress, "num_weights", lambda entry: 3_000_000)
    monkeypatch.setattr(progress, "operations_per_second", lambda entry: (1e6, "an abacus"))
    assert estimate(entry, [[1, 2], [1, 3]], [[4] * 7]).startswith(
        "at least 1.0 minutes on an abacus: 10 distinct"
    )


def test_without_safetensors_the_suite_tells_the_size(entry: ModelEntry, monkeypatch) -> None:
    monkeypatch.setattr(progress, "weights_of", lambda entry: [Path("one.gguf")])
    assert num_weights(entry) is None
    assert estimate(entry, [[1]], [[2]]) == "none, because the suite does not give parameters"
    assert num_weights(ModelEntry("one", "one.gguf", parameters=0.135)) == 135_000_000
