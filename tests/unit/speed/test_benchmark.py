"""The benchmark measures all engines on the same prompts, and scripted models give the scripted answers."""

from __future__ import annotations

import json

import pytest

from bench.__main__ import main
from bench.decoding import select
from bench.speed import scripted
from bench.task.examples import examples
from bench.task.prompts import gold_statement
from bench.task.world import generate

SMALL = (16, 16, 1, 2)


@pytest.fixture
def small_shapes(monkeypatch):
    for shape in scripted.SHAPES:
        monkeypatch.setitem(scripted.SHAPES, shape, SMALL)
    monkeypatch.setattr(scripted, "LARGE_VOCABULARY", 1000)


def test_a_scripted_model_is_measured_on_all_sides(small_shapes, capsys):
    arguments = "--shape 7b --err 0.3 --scenarios 1 --reference-prompts 4 --repeats 1 --json"
    assert main(["benchmark", *arguments.split()]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["identical"], result["compared"]) == (4, 4)
    assert result["prompts"]["speculative"] == 12
    seconds = result["seconds_per_prompt"]
    ratio = result["ratios"]["reference_batch16/speculative"]
    assert ratio == pytest.approx(seconds["reference_batch16"] / seconds["speculative"])
    tokens = {side: counters["model_tokens"] for side, counters in result["counters"].items()}
    assert tokens["speculative"] / 12 < tokens["reference_batch1"] / 4


def test_a_scripted_answer_errs_only_on_boxes_that_changed():
    for state in examples(next(iter(generate(1, seed=3)))):
        assert scripted.scripted_answer(state, err=0) == gold_statement(state)
        said = scripted.scripted_answer(state, err=1).split(", ")
        gold = gold_statement(state).split(", ")
        for query, clause, right in zip(state.queries, said, gold, strict=True):
            assert clause == right or query.num_ops > 0


def test_a_folder_without_a_checkpoint_is_one_clear_line(tmp_path, capsys):
    assert main(["benchmark", "--model", str(tmp_path)]) == 4
    assert "no checkpoint in" in capsys.readouterr().err


def test_starting_is_measured_by_part_and_a_full_cache_probes_nothing(
    random_checkpoints, capsys, monkeypatch
):
    probed = []
    monkeypatch.setattr(select, "difference", lambda *engines: probed.append(engines))
    assert main(["benchmark", "--startup", str(random_checkpoints / "one"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    parts = {"spelling", "automaton", "probe", "before the first answer"}
    assert found["cold"].keys() == found["warm"].keys() == parts
    assert len(probed) == 1
    assert main(["benchmark", "--startup", str(random_checkpoints / "one")]) == 0
    assert "| before the first answer |" in capsys.readouterr().out
