"""report.html in a real browser: from disk, without a network, on a phone, a desktop and in print."""

from __future__ import annotations

import base64
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from bench.models.suites import load_suite
from bench.records import Completion, Evaluation, Example, Score
from bench.report.drawings import drawings_of, render
from bench.report.page import html
from bench.report.published import published_results
from bench.run.session import accuracies
from bench.scoring.scores import accuracy_by_factor
from bench.task.prompts import STATEMENT
from bench.task.wording import WORDINGS

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
]  # fmt: skip
pytestmark = [
    pytest.mark.nightly,
    pytest.mark.skipif(
        not (CHROMIUM and DRIVER and find_spec("selenium") and find_spec("axe_core_python")),
        reason="needs chromium and chromedriver on the path, and pip install -e '.[browser]'",
    ),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, evaluation_examples) -> Path:
    """The page of a run of the paper's 20 pairs, with answers of every model to all 716 prompts."""
    found, suite, asked = published_results(), load_suite("paper"), evaluation_examples
    names = dict.fromkeys(name for pair in suite.pairs for name in (pair.base, pair.variant))
    evaluations = {name: answer(name, n + 2, asked) for n, name in enumerate(names)}
    results = replace(
        found,
        evaluations=evaluations,
        accuracies={name: accuracies(entry) for name, entry in evaluations.items()},
        factors={name: accuracy_by_factor(entry, asked) for name, entry in evaluations.items()},
    )
    folder = tmp_path_factory.mktemp("pages")
    figures = drawings_of(results, (), suite)
    drawings = {name: render(drawing, name)["svg"].decode() for name, drawing in figures.items()}
    (folder / "report.html").write_text(html(results, drawings, asked), encoding="utf-8")
    return folder


def answer(name: str, every: int, asked: list[Example]) -> Evaluation:
    """A model that repeats the initial contents of every n-th changed box, and is right otherwise."""
    completions, scores = {}, []
    for number, example in enumerate(asked):
        stale = [query.num_ops > 0 and (number + query.box) % every == 0 for query in example.queries]
        said = [
            query.earlier[-1] if wrong and query.earlier else query.target
            for query, wrong in zip(example.queries, stale, strict=True)
        ]
        text = STATEMENT + WORDINGS["base"].state_all(tuple(said))
        completions[example.id] = Completion(text, "stop", 9)
        scores += [
            Score(
                example.id, example.scenario_id, query.box, query.num_ops,
                "stale" if contents != query.target else None,
            )
            for query, contents in zip(example.queries, said, strict=True)
        ]  # fmt: skip
    return Evaluation(name, completions, tuple(scores), {"whole": len(asked)}, "reference", {})


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.set_script_timeout(1200)
    yield driver
    driver.quit()


@pytest.fixture
def page(browser, folder: Path):
    return go(browser, folder)


def go(browser, folder: Path, address: str = ""):
    """Open the page again, and wait until the examples are unpacked."""
    browser.get("about:blank")
    browser.get((folder / "report.html").as_uri() + address)
    ready = (
        "const count = document.querySelector('#count'), done = arguments[0];"
        "const wait = () => count.textContent ? done() : setTimeout(wait, 20); wait()"
    )
    browser.execute_async_script(ready)
    return browser


def resize(browser, width: int) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def test_a_page_of_20_pairs_is_below_3_megabytes(folder: Path):
    assert (folder / "report.html").stat().st_size < 3_000_000


def test_it_opens_from_disk_with_no_request_and_no_error(page):
    assert [entry["message"] for entry in page.get_log("browser")] == []
    requested = [
        line for entry in page.get_log("performance") if "requestWillBeSent" in (line := entry["message"])
    ]
    assert requested and not [line for line in requested if '"url":"http' in line]
    assert page.title.startswith("Entity tracking")


@pytest.mark.parametrize("width", [375, 768, 1400])
def test_the_first_screen_answers_and_nothing_spills_over(browser, folder, width):
    resize(browser, width)
    page = go(browser, folder)
    answers = page.execute_script(
        "return [...document.querySelectorAll('.answer')].filter(a => a.getBoundingClientRect().bottom < 900)"
        ".map(a => a.textContent)"
    )
    assert answers and all("the gain is " in answer and "[" in answer for answer in answers)
    spans = page.execute_script(
        "return [...document.querySelectorAll('.drawing svg')].map(s => s.getBoundingClientRect().width)"
    )
    assert len(spans) == 83 and min(spans) > 250 and max(spans) <= width
    assert page.execute_script("return document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("width", [375, 768, 1400])
def test_every_finding_is_seen_without_scrolling_sideways(browser, folder, width):
    resize(browser, width)
    page = go(browser, folder)
    ends = page.execute_script(
        "return [...document.querySelectorAll('article table td.finding .badge')]"
        ".map(cell => cell.getBoundingClientRect().right)"
    )
    assert len(ends) == 180 and max(ends) <= width


def test_a_table_sorts_by_the_column_that_is_clicked(page):
    click = "document.querySelectorAll('#table-accuracy thead button')[9].click()"
    rows = "[...document.querySelectorAll('#table-accuracy tbody tr')]"
    read = f"return {rows}.map(row => parseFloat(row.cells[9].textContent))"
    page.execute_script(click)
    falling = page.execute_script(read)
    page.execute_script(click)
    assert len(falling) > 30 and falling == sorted(falling, reverse=True)
    assert page.execute_script(read) == falling[::-1]
    sorted_by = page.execute_script(
        "return document.querySelector('#table-accuracy [aria-sort]').textContent"
    )
    assert sorted_by == "1+"


FILTERED = (
    "return [location.hash,"
    " ...['#count', '#questions'].map(place => document.querySelector(place).textContent)]"
)
CHOOSE = (
    "const form = document.querySelector('#filter');"
    "for (const [name, value] of Object.entries(arguments[0])) form.elements[name].value = value;"
    "form.dispatchEvent(new Event('input'))"
)


def test_a_filter_is_in_the_address_and_comes_back_from_it(browser, folder, evaluation_examples):
    """Stale answers on boxes with two operations, the last of them a removal."""
    page = go(browser, folder)
    page.execute_script(CHOOSE, {"ops": "2", "last": "remove", "error": "stale"})
    address, count, listed = page.execute_script(FILTERED)
    assert "ops=2" in address and "last=remove" in address and "error=stale" in address
    stale = int(count.split(" of ")[0].replace(",", ""))
    removed = sum(
        query.num_ops == 2 and query.last == "remove"
        for example in evaluation_examples
        for query in example.queries
    )
    assert 0 < stale < removed and count.endswith("of 5,012 boxes")
    assert go(browser, folder, address).execute_script(FILTERED) == [address, count, listed]
    page.execute_script(CHOOSE, {"error": ""})
    assert page.execute_script(FILTERED)[1] == f"{removed} of 5,012 boxes"


def test_an_example_has_an_address_and_shows_what_changed_its_box(browser, folder, evaluation_examples):
    example = next(e for e in evaluation_examples if e.queries[3].num_ops == 2)
    page = go(browser, folder, f"#example-{example.id}-box3")
    marked = page.execute_script(
        "return [...document.querySelectorAll('#questions .description mark')].map(m => m.textContent)"
    )
    sentences = example.description.split(". ")
    changes = [sentences[number].removesuffix(".") + "." for number in example.queries[3].changed_by]
    assert marked[0].startswith("Box 3 contains ") and marked[1:] == changes
    columns = page.execute_script(
        "return [...document.querySelectorAll('.columns h4')].map(h => h.textContent)"
    )
    assert columns == ["right answer", "llama-2-7b", "codellama-7b"]


def test_every_anchor_of_a_pair_and_a_case_is_there(page):
    missing = page.execute_script(
        "return [...document.querySelectorAll('a.self')].map(a => a.getAttribute('href').slice(1))"
        ".filter(id => !document.getElementById(id))"
    )
    assert missing == []
    assert page.execute_script("return document.querySelectorAll('article[id^=pair-]').length") == 20


def test_a_printed_page_has_the_last_row_of_every_table(page, tmp_path):
    rows = page.execute_script(
        "return [...document.querySelectorAll('main table tbody tr:last-child')]"
        ".map(row => [...row.cells].slice(0, 5).map(cell => cell.textContent.replace(/\\s+/g, ' ').trim()))"
    )
    page.execute_script("dispatchEvent(new Event('beforeprint'))")
    printed = page.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True, "printBackground": True})
    (tmp_path / "page.pdf").write_bytes(base64.b64decode(printed["data"]))
    if not shutil.which("pdftotext"):
        pytest.skip("needs pdftotext, of poppler-utils")
    subprocess.run(["pdftotext", "-layout", "page.pdf", "page.txt"], cwd=tmp_path, check=True)
    words = " ".join((tmp_path / "page.txt").read_text(encoding="utf-8").split())
    assert len(rows) > 40
    for row in rows:
        assert all(part in words for cell in row for part in cell.split()), row


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_finding_of_accessibility(browser, folder, scheme):
    import axe_core_python

    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    go(browser, folder)
    browser.execute_script((Path(axe_core_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8"))
    rest = "[['.drawing svg'], ['article:not(:first-of-type)']]"  # pairs look alike
    looked = f"axe.run({{exclude: {rest}}}, {{resultTypes: ['violations']}}).then(arguments[0])"
    found = browser.execute_async_script(looked)["violations"]
    said = [
        f"{entry['id']}: {entry['nodes'][0]['html'][:200]}"
        for entry in found
        if entry["impact"] in ("serious", "critical")
    ]
    assert said == []
