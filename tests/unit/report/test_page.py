"""report.html for a reader without a network."""

from __future__ import annotations

import base64
import gzip
import json
import re
from dataclasses import replace

import pytest

from bench.nights.regression import compare_nights, night_of
from bench.records import BREAK, Pair, Suite
from bench.report.drawings import drawings_of, render
from bench.report.examples import pack
from bench.report.files import write
from bench.report.history import history_html
from bench.report.page import html

SUITE = Suite("made-up", {}, (Pair("code", "before", "after"),))


@pytest.fixture(scope="module")
def drawings(results) -> dict[str, str]:
    drawings = drawings_of(results, results.verdicts, SUITE)
    return {name: render(drawing, name)["svg"].decode() for name, drawing in drawings.items()}


@pytest.fixture(scope="module")
def page(results, asked, drawings) -> str:
    return html(results, drawings, asked, results.verdicts)


def unpack(page: str):
    [packed] = re.findall(r'id="packed">([^<]+)<', page)
    return json.loads(gzip.decompress(base64.b64decode(packed)))


@pytest.mark.parametrize("made", ["report", "history"])
def test_a_page_asks_no_network_for_anything(page, results, made):
    text = page if made == "report" else history_html([night_of(results)] * 2)
    text = re.sub(r"<pre.*?</pre>", "", text, flags=re.DOTALL)  # the addresses in BibTeX are not requested
    addresses = set(re.findall(r"""(?:src|href|action|url)\s*[=(]\s*["']?([^"')> ]+)""", text))
    assert all(address.startswith(("#", "data:", "figures/")) for address in addresses)
    assert not re.search(r"@import|<link rel=.stylesheet|fetch\(|XMLHttpRequest", text)
    assert "default-src 'none'" in text


def test_what_a_model_writes_is_no_markup(page, results, asked):
    """The page has it only in packed form, and the script adds it as text."""
    assert "<script>alert(1)" not in page
    assert any(
        "<script>alert(1)" in answer[0] for example in unpack(page)["examples"] for answer in example[4]
    )
    assert "innerHTML" not in page and "document.write" not in page


@pytest.mark.parametrize(
    "said",
    [
        pytest.param("Does further training on code help?", id="the question of a hypothesis"),
        pytest.param("Yes: after is ", id="its answer"),
        pytest.param("needs 80 GB of GPU memory", id="why a model was not run"),
        pytest.param("20261120-020000-abc", id="which run it was"),
        pytest.param('id="pair-code-before..after"', id="an anchor for a pair"),
        pytest.param('id="case-code-before..after-ops1"', id="an anchor for a case"),
        pytest.param('href="figures/code-before..after-errors.pdf"', id="a figure to take away"),
        pytest.param('download="code-before..after.tex"', id="a table to take away"),
        pytest.param("2405.21068", id="what to cite"),
    ],
)
def test_the_page_says(page, said):
    assert said in page


def test_every_example_of_the_run_is_on_the_page(page, asked):
    """After one operation, the removal of the car, box 0 is empty; only `after` says so."""
    table = unpack(page)
    assert [example[0] for example in table["examples"]] == [example.id for example in asked]
    [first] = [example for example in table["examples"] if example[0] == "s00-1"]
    assert first[3][0] == [1, "remove", [1], "nothing"]
    answers = dict(zip(table["models"], first[4], strict=True))
    assert answers["after"][1][0] == "" and answers["before"][1][0] == "other"
    assert "alert(1)" in answers["before"][2][0]


@pytest.mark.parametrize(
    ("metric", "thinking", "notes", "shown"),
    [
        pytest.param("logprob", {}, "[[-1.5, -2.5]]", "", id="log-probabilities are for programs"),
        pytest.param(
            "generation",
            {"s00-1": 3},
            "3 tokens of thinking:\nSo",
            "3 tokens of thinking: So",
            id="thinking is shown",
        ),
    ],
)
def test_what_a_completion_keeps_beside_the_answer_is_no_part_of_it(
    results, asked, metric, thinking, notes, shown
):
    example = next(example for example in asked if example.id == "s00-1")
    before = results.evaluations["before"]
    said = before.completions[example.id]
    completions = {example.id: replace(said, text=said.text + BREAK + notes)}
    noted = replace(
        results,
        evaluations={"before": replace(before, completions=completions, thinking=thinking)},
        metadata={**results.metadata, "metric": metric},
    )
    table = json.loads(gzip.decompress(base64.b64decode(pack(noted, [example]))))
    [[text, _, _, thought]] = table["examples"][0][4]
    assert text == said.text
    assert thought == shown


def test_the_examples_are_packed_to_the_same_bytes(results, asked):
    assert pack(results, asked) == pack(results, asked)


def test_without_examples_nothing_of_the_data_is_on_the_page(results, drawings):
    page = html(results, drawings)
    assert "packed" not in page and "--boxes-released-examples" in page


def test_a_table_has_no_column_of_the_record_where_there_is_none(results, drawings, page):
    before = [
        replace(v, comparison=replace(v.comparison, base=replace(v.comparison.base, correct=0)))
        for v in results.verdicts
    ]
    assert "recorded finding" in html(results, drawings, (), before)
    assert "All accuracies equal the recorded ones." in page
    assert "recorded finding" not in html(results, drawings)


def test_ids_are_unique(page):
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_a_run_is_written_in_every_format(results, asked, tmp_path):
    night = replace(night_of(results), name="monday")
    folder = write(results, tmp_path / "run", SUITE, asked, (), compare_nights(results, night))
    said = "Nothing changed since monday: 560 answers, 0 different."
    assert said in (folder / "report.md").read_text().partition("## ")[0]
    assert said in (folder / "report.html").read_text().partition("<section")[0]
    assert json.loads((folder / "results.json").read_text())["metadata"]["run"] == night.run


def test_the_history_shows_the_gain_of_each_pair(results):
    nights = [replace(night_of(results), name=name) for name in ("monday", "tuesday")]
    page = history_html(nights)
    assert "before → after" in page and "tuesday" in page
    gain = next(v.comparison.difference for v in results.verdicts if v.comparison.bucket == "ops1plus")
    assert page.count(f"{100 * gain.value:+.1f}") >= 2
