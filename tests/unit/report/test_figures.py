"""What is drawn, read back from the SVG."""

from __future__ import annotations

import csv
import re
from xml.etree import ElementTree

import pytest

from bench import DATA
from bench.models.suites import load_suite
from bench.report.figures import draw_all, draw_effects, draw_hypothesis, panels, png, sections, svg
from bench.scoring.verdicts import judge_recorded

SVG = "{http://www.w3.org/2000/svg}"
POINT = re.compile(r"[ML] ([\d.]+) ([\d.]+)")


@pytest.fixture(scope="module")
def paper():
    suite = load_suite("paper")
    return suite, judge_recorded(suite, suite.recorded_baseline)


def points(drawing: ElementTree.Element, gid: str) -> list[tuple[float, float]]:
    """The vertices of the first path in a group, in the drawing's own units."""
    group = drawing.find(f".//{SVG}g[@id='{gid}']")
    assert group is not None, f"no {gid}"
    return [(float(x), float(y)) for x, y in POINT.findall(group.find(f"{SVG}path").get("d"))]


def heights(drawing: ElementTree.Element, number: int, gid: str) -> list[float]:
    """The values of a line in percent: its panel's frame is 0 to 100."""
    frame = drawing.findall(f".//{SVG}g")
    axes = [group for group in frame if re.fullmatch(r"x-axes_\d+", group.get("id", ""))][number]
    ys = [float(y) for _, y in POINT.findall(axes.find(f"{SVG}g/{SVG}path").get("d"))]
    bottom, top = max(ys), min(ys)
    return [100 * (bottom - y) / (bottom - top) for _, y in points(drawing, f"x-{gid}")]


@pytest.mark.parametrize("hypothesis", ["code", "math", "alignment"])
def test_the_published_lines_are_drawn_where_the_published_figures_are(paper, hypothesis):
    suite, verdicts = paper
    rows = sections([], verdicts, suite)[hypothesis]
    drawing = ElementTree.fromstring(svg(draw_hypothesis(rows), "x"))
    with (DATA / "published_accuracy.csv").open() as lines:
        published = {
            (row["model_id"], row["num_ops"]): float(row["accuracy_percent"]) for row in csv.DictReader(lines)
        }
    for number, panel in enumerate(panel for row in rows for panel in row):
        for role, name in (("base", panel.pair.base), ("variant", panel.pair.variant)):
            expected = [published[suite.models[name].path, str(num_ops)] for num_ops in range(8)]
            drawn = heights(drawing, number, f"{panel.pair.id}/{role}")
            assert drawn == pytest.approx(expected, abs=0.02), (panel.pair.id, role)


@pytest.mark.parametrize(("hypothesis", "shape"), [("code", [5]), ("math", [5]), ("alignment", [5, 5])])
def test_a_hypothesis_has_the_panels_of_the_paper(paper, hypothesis, shape):
    suite, verdicts = paper
    assert [len(row) for row in sections([], verdicts, suite)[hypothesis]] == shape


def test_alignment_has_base_models_above_the_code_models_trained_from_them(paper):
    suite, verdicts = paper
    above, below = sections([], verdicts, suite)["alignment"]
    assert [panel.pair.base for panel in above] == [
        "llama-2-7b", "llama-2-13b", "llama-2-70b", "gemma-7b", "deepseek-llm-7b",
    ]  # fmt: skip
    assert [panel.pair.base for panel in below] == [
        "codellama-7b", "codellama-13b", "codellama-70b", "codegemma-7b", "deepseek-coder-7b",
    ]  # fmt: skip


def test_the_same_figures_give_the_same_bytes(results, paper):
    suite, _ = paper
    once, again = (
        {
            name: (svg(figure, name), png(figure))
            for name, figure in draw_all(results.verdicts, [], suite).items()
        }
        for _ in range(2)
    )
    assert once == again and set(once) == {"code-accuracy", "code-effects"}


def test_a_measured_pair_is_drawn_over_its_record(results, paper):
    suite, _ = paper
    drawn = panels(results.verdicts, results.verdicts)
    for draw in (draw_hypothesis, draw_effects):
        drawing = svg(draw([drawn]), "x")
        assert "hollow: recorded" in drawing and "/recorded" in drawing
        assert "hollow: recorded" not in svg(draw([panels(results.verdicts, [])]), "x")
