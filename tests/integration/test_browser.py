"""report.html in a real browser: from disk, without a network, on a phone and on a desk."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from bench.models.suites import load_suite
from bench.records import Completion, Evaluation, Results, Score
from bench.report.page import html
from bench.report.published import published
from bench.run.session import accuracies
from bench.task.prompts import gold_statement

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
    """The page of the 20 published pairs, one of them with examples."""
    found, suite, asked = published(), load_suite("paper"), evaluation_examples[:60]
    folder = tmp_path_factory.mktemp("pages")
    page = html(with_answers(found, asked), suite, asked, found.verdicts)
    (folder / "report.html").write_text(page, encoding="utf-8")
    return folder


def with_answers(found: Results, asked) -> Results:
    """The first pair's verdicts, and answers that the variant has right."""
    pair = found.verdicts[0].comparison.pair
    evaluations = {
        name: Evaluation(
            name,
            {
                example.id: Completion(gold_statement(example) if right else "?", "stop", 9)
                for example in asked
            },
            tuple(
                Score(example.id, example.scenario_id, query.box, query.num_ops, None if right else "unread")
                for example in asked
                for query in example.queries
            ),
            {"whole": len(asked)},
            "reference",
            {},
        )
        for name, right in ((pair.base, False), (pair.variant, True))
    }
    verdicts = tuple(verdict for verdict in found.verdicts if verdict.comparison.pair == pair)
    counted = {name: accuracies(entry) for name, entry in evaluations.items()}
    return Results(found.metadata, evaluations, {**found.accuracies, **counted}, found.baseline, verdicts)


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
    browser.get((folder / "report.html").as_uri())
    return browser


def resize(browser, width: int) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def test_it_opens_from_disk_with_no_request_and_no_error(page):
    assert [entry["message"] for entry in page.get_log("browser")] == []
    requested = [
        line for entry in page.get_log("performance") if "requestWillBeSent" in (line := entry["message"])
    ]
    assert requested and not [line for line in requested if '"url":"http' in line]
    assert page.title.startswith("Entity tracking")


@pytest.mark.parametrize("width", [375, 1400])
def test_every_figure_is_visible_and_nothing_spills_over(page, width):
    resize(page, width)
    spans = page.execute_script(
        "return [...document.querySelectorAll('.drawing svg')].map(s => s.getBoundingClientRect().width)"
    )
    assert len(spans) == 40 and min(spans) > 200 and max(spans) <= width
    assert page.execute_script("return document.documentElement.scrollWidth") == width


def test_a_table_sorts_by_the_column_that_is_clicked(page):
    click = "document.querySelectorAll('#accuracies thead button')[9].click()"
    rows = "[...document.querySelectorAll('#accuracies tbody tr')]"
    read = f"return {rows}.map(row => parseFloat(row.cells[9].textContent))"
    page.execute_script(click)
    falling = page.execute_script(read)
    page.execute_script(click)
    assert len(falling) == 36 and falling == sorted(falling, reverse=True)
    assert page.execute_script(read) == falling[::-1]
    sorted_by = page.execute_script("return document.querySelector('#accuracies [aria-sort]').textContent")
    assert sorted_by == "1+"


def test_the_filter_leaves_the_examples_that_fit(page):
    count = (
        "return [...document.querySelectorAll('.example')].filter(e => !e.hidden).map(e => e.dataset.bucket)"
    )
    every = page.execute_script(count)
    page.execute_script(
        "const filter = document.querySelector('#filter'); filter.bucket.value = 'ops2';"
        "filter.dispatchEvent(new Event('input'))"
    )
    left = page.execute_script(count)
    assert set(every) > {"ops2"} == set(left)
    assert (
        page.execute_script("return document.querySelector('#shown').textContent")
        == f"{len(left)} of {len(every)} shown"
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_finding_of_accessibility(browser, folder, scheme):
    import axe_core_python

    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    browser.get((folder / "report.html").as_uri())
    browser.execute_script((Path(axe_core_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8"))
    whole_drawings = "{exclude: [['.drawing svg']]}, {resultTypes: ['violations']}"  # an image is one thing
    found = browser.execute_async_script(f"axe.run({whole_drawings}).then(arguments[0])")["violations"]
    said = [
        f"{entry['id']}: {entry['nodes'][0]['html'][:200]}"
        for entry in found
        if entry["impact"] in ("serious", "critical")
    ]
    assert said == []
