"""report.html as a reader without a network or JavaScript gets it."""

from __future__ import annotations

import json
import re

import pytest

from bench.nights.regression import compare_nights, night_of
from bench.records import Pair, Suite
from bench.report.files import write
from bench.report.history import history_html
from bench.report.page import html

SUITE = Suite("made-up", {}, (Pair("code", "before", "after"),))


@pytest.fixture(scope="module")
def page(results, asked) -> str:
    return html(results, SUITE, asked, results.verdicts)


@pytest.mark.parametrize("made", ["report", "history"])
def test_a_page_asks_no_network_for_anything(page, results, made):
    text = page if made == "report" else history_html([night_of(results)] * 2)
    addresses = set(re.findall(r"""(?:src|href|action|url)\s*[=(]\s*["']?([^"')> ]+)""", text))
    assert all(address.startswith(("#", "data:")) for address in addresses)
    assert not re.search(r"@import|<link rel=.stylesheet|fetch\(|XMLHttpRequest", text)


def test_what_a_model_writes_is_text_and_never_markup(page):
    assert "<script>alert(1)" not in page and "&lt;script&gt;alert(1)" in page


@pytest.mark.parametrize(
    "said",
    [
        pytest.param("measured here, better 1 of 1 (after)", id="a hypothesis in one sentence"),
        pytest.param("after is ", id="a pair in one sentence"),
        pytest.param("needs 80 GB of GPU memory", id="why a model was not run"),
        pytest.param("20261120-020000-abc", id="which run it was"),
        pytest.param("only after is right", id="an example behind a case"),
        pytest.param("Remove the car from Box 0.", id="its description"),
    ],
)
def test_the_page_says(page, said):
    assert said in page


def test_an_example_shows_the_first_box_of_its_bucket_on_which_one_model_is_right(page):
    """After the first operation, the removal of the car, box 0 is empty; `before` is wrong about it."""
    assert re.search(r"box 0 holds</dt><dd>nothing</dd>", page)


def test_examples_are_capped_and_the_page_says_so(page):
    shown, behind = map(int, re.search(r"(\d+) of (\d+) examples in which", page).groups())
    assert shown == page.count('class="example"') == 8
    assert behind == 240  # after each of six operations, forty times, a box has changed once


def test_without_examples_nothing_of_the_data_is_on_the_page(results):
    page = html(results, SUITE)
    assert "Remove the car" not in page and "left out unless asked for" in page


def test_ids_are_unique(page):
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_a_run_is_written_in_every_format(results, asked, tmp_path):
    night = night_of(results)
    folder = write(results, tmp_path / "run", SUITE, asked, (), compare_nights(results, night))
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    figures = {
        f"figures/code-{kind}.{form}" for kind in ("accuracy", "effects", "forest") for form in ("svg", "png")
    }
    assert names == {"report.md", "report.html", "accuracy.csv", "results.json"} | figures
    assert "No model is worse" in (folder / "report.md").read_text()
    assert "Since the baseline" in (folder / "report.html").read_text()
    assert json.loads((folder / "results.json").read_text())["metadata"]["run"] == night.run
