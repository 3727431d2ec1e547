"""docs/scale.md: its tables are made, its commands exist, and its costs are what a hand calculation says."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path

import pytest

from bench import ROOT
from bench.__main__ import main
from bench.cluster import command
from bench.cluster.scale import (
    Engine,
    cards,
    cost_table,
    engines,
    gpu_seconds,
    needs_table,
    served_cards,
    updated,
)
from bench.models.suites import load_suite
from bench.records import ModelEntry

PAGE = ROOT / "docs" / "scale.md"


def test_the_page_has_the_tables_that_the_command_makes() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text == updated(text)


def test_the_command_mends_a_page_and_refuses_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = PAGE.read_text(encoding="utf-8")
    page = tmp_path / "scale.md"
    page.write_text(text.replace("codellama-34b", "codellama-43b"), encoding="utf-8")
    assert main(["scale", f"--page={page}"]) == 0
    assert page.read_text(encoding="utf-8") == text
    page.write_text("other words", encoding="utf-8")
    assert main(["scale", f"--page={page}"]) == 2
    assert "no <!-- needs -->" in capsys.readouterr().err
    assert page.read_text(encoding="utf-8") == "other words"


def test_every_model_of_the_paper_has_one_row_with_commands_that_are_taken() -> None:
    suite = load_suite("paper")
    rows = [re.split(r" *\| *", row)[1:-1] for row in needs_table(suite).splitlines()[2:]]
    assert [row[0] for row in rows] == list(suite.models)
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    for name, memory, precision, one, eight, served in rows:
        entry = suite.models[name]
        assert float(memory) == entry.memory_gb and (precision == "8 bits") == bool(entry.quantization)
        for text in (one, eight):
            program, options = text.strip("`").split(" score ")
            chosen = parser.parse_args(shlex.split(options))
            assert (program, chosen.boxes_models) == ("python -m bench", name)
        assert served.strip("`").split()[:3] == ["vllm", "serve", entry.path]


@pytest.mark.parametrize(
    ("parameters", "memory", "here", "served"),
    [
        pytest.param(6.7, 15, 1, 1, id="7B"),
        pytest.param(33.7, 71, 2, 2, id="34B: 71 GB leave 9 of one card; 74 served, of 72"),
        pytest.param(69.0, 75, 2, 4, id="70B: 75 GB in 8 bits; 152 served, of 144 on two"),
        pytest.param(8.5, 68, 1, 1, id="68 of 80 GB is the most on one"),
    ],
)
def test_a_model_is_given_the_cards_that_it_needs(
    parameters: float, memory: float, here: int, served: int
) -> None:
    entry = ModelEntry("any", "org/any", "hub", parameters=parameters, memory_gb=memory)
    assert (cards(entry), served_cards(entry)) == (here, served)


@pytest.mark.parametrize(
    ("quantization", "engine", "seconds"),
    [  # 1 s to load 2e9 bytes; 716 prompts; a pass reads 2e9 bytes in 0.995 ms, or takes 40 ms to launch
        pytest.param(None, Engine("e", 1, 0), 716 * 0.04 + 1, id="launching"),
        pytest.param(None, Engine("e", 1, 0, served=True), 716 * 0.000995 + 1, id="reading"),
        pytest.param(None, Engine("e", 0, 100), 716 * 0.00050556 + 1, id="computing"),
        pytest.param("8bit", Engine("e", 1, 0), 716 * 0.1 + 1, id="8 bits"),
        pytest.param("8bit", Engine("e", 1, 0, served=True), 716 * 0.000995 + 1, id="served in bfloat16"),
    ],
)
def test_gpu_seconds_are_those_of_a_hand_calculation(quantization, engine: Engine, seconds: float) -> None:
    entry = ModelEntry("any", "org/any", "hub", parameters=1.0, quantization=quantization)
    assert gpu_seconds(entry, engine) == pytest.approx(seconds, rel=1e-3)


def test_every_model_of_the_pairs_is_paid_for_once() -> None:
    """28 models take part in 20 pairs; the speculative engine is to be the cheapest of ours."""
    *_, last = cost_table(load_suite("paper")).splitlines()
    cells = re.split(r" *\| *", last)[1:-1]
    assert cells[:2] == ["all 20 pairs", "28"]
    hours = dict(zip([engine.name for engine in engines()], map(float, cells[2:]), strict=True))
    assert hours["speculative, err 0.1"] < hours["speculative, err 0.7"] < hours["reference, 64 at once"]
