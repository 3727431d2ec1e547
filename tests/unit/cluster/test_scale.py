"""docs/scale.md: the command makes its table."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench import ROOT
from bench.__main__ import main
from bench.cluster.scale import cards, needs_table, served_cards, updated
from bench.models.suites import load_suite
from bench.records import ModelEntry

PAGE = ROOT / "docs" / "scale.md"


def test_the_page_has_the_table_that_the_command_makes() -> None:
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
    assert main(["scale", f"--page={page}"]) == 4
    assert "no <!-- needs -->" in capsys.readouterr().err
    assert page.read_text(encoding="utf-8") == "other words"


def test_every_model_of_the_paper_has_one_row() -> None:
    suite = load_suite("paper")
    rows = [re.split(r" *\| *", row)[1:-1] for row in needs_table(suite).splitlines()[2:]]
    assert [row[0] for row in rows] == list(suite.models)
    for name, path, memory, precision, *_ in rows:
        entry = suite.models[name]
        assert path == entry.path and float(memory) == entry.memory_gb
        assert (precision == "8 bits") == bool(entry.quantization)


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
