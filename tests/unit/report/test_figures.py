"""The drawn values, read back from the SVG."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from typing import get_args
from xml.etree import ElementTree

import pytest

from bench import DATA
from bench.models.suites import load_suite
from bench.records import Evaluation, Outcome, Suite
from bench.report import drawings
from bench.report.drawings import drawings_of, in_every_format, svg
from bench.report.figures import draw_effects, draw_factors, draw_hypothesis
from bench.report.panels import rows_of, sections
from bench.scoring.scores import ERROR_KINDS, accuracy_by_factor
from bench.scoring.sentences import FROM_COUNTS
from bench.scoring.verdicts import judge_recorded

SUITE = Suite("made-up", {}, ())
SVG = "{http://www.w3.org/2000/svg}"
POINT = re.compile(r"[ML] ([\d.]+) ([\d.]+)")


@pytest.fixture(scope="module")
def paper():
    suite = load_suite("paper")
    return suite, judge_recorded(suite, suite.recorded_baseline)


def points(drawing: ElementTree.Element, gid: str) -> list[tuple[float, float]]:
    """The vertices of the first path in a group, in the drawing's own units."""
    [group] = [group for group in drawing.iter(f"{SVG}g") if group.get("id", "").endswith(f"-{gid}")]
    return [(float(x), float(y)) for x, y in POINT.findall(group.find(f"{SVG}path").get("d"))]


def heights(drawing: ElementTree.Element, number: int, gid: str) -> list[float]:
    """The values of a line in percent: its panel's frame is 0 to 100."""
    axes = [group for group in drawing.iter(f"{SVG}g") if re.search(r"-axes_\d+$", group.get("id", ""))][
        number
    ]
    ys = [float(y) for _, y in POINT.findall(axes.find(f"{SVG}g/{SVG}path").get("d"))]
    bottom, top = max(ys), min(ys)
    return [100 * (bottom - y) / (bottom - top) for _, y in points(drawing, gid)]


def rows(paper, hypothesis):
    suite, verdicts = paper
    [section] = [section for section in sections(verdicts, []) if section.name == hypothesis]
    return rows_of(section.panels, suite)


@pytest.mark.parametrize("hypothesis", ["code", "math", "alignment"])
def test_the_published_lines_are_drawn_where_the_published_figures_are(paper, hypothesis):
    suite, _ = paper
    found = rows(paper, hypothesis)
    drawing = ElementTree.fromstring(svg(draw_hypothesis(found), "x"))
    with (DATA / "published_accuracy.csv").open() as lines:
        published = {
            (row["model_id"], row["num_ops"]): float(row["accuracy_percent"]) for row in csv.DictReader(lines)
        }
    for number, panel in enumerate(panel for row in found for panel in row):
        for role, name in (("base", panel.pair.base), ("variant", panel.pair.variant)):
            expected = [published[suite.models[name].path, str(num_ops)] for num_ops in range(8)]
            drawn = heights(drawing, number, f"{panel.pair.id}/{role}")
            assert drawn == pytest.approx(expected, abs=0.02), (panel.pair.id, role)


@pytest.mark.parametrize(("hypothesis", "shape"), [("code", [5]), ("math", [5]), ("alignment", [5, 5])])
def test_a_hypothesis_has_the_panels_of_the_paper(paper, hypothesis, shape):
    assert [len(row) for row in rows(paper, hypothesis)] == shape


def test_alignment_has_base_models_above_the_code_models_trained_from_them(paper):
    above, below = rows(paper, "alignment")
    assert [panel.pair.base for panel in above] == [
        "llama-2-7b", "llama-2-13b", "llama-2-70b", "gemma-7b", "deepseek-llm-7b",
    ]  # fmt: skip
    assert [panel.pair.base for panel in below] == [
        "codellama-7b", "codellama-13b", "codellama-70b", "codegemma-7b", "deepseek-coder-7b",
    ]  # fmt: skip


def test_the_same_figures_give_the_same_bytes(results):
    drawn = drawings_of(results, [], SUITE)
    once, again = (
        {name: in_every_format(drawing.figure(), name) for name, drawing in drawn.items()} for _ in range(2)
    )
    kinds = ("accuracy", "effects", "errors", "factors")
    assert once == again and set(once) == {f"code-before..after-{kind}" for kind in kinds}
    assert {tuple(formats) for formats in once.values()} == {("svg", "png", "pdf")}


def test_a_drawing_is_made_again_only_where_its_data_changed(results, tmp_path, monkeypatch):
    monkeypatch.setenv("BOXES_CACHE", str(tmp_path))
    name, drawn = "code-before..after-effects", []
    monkeypatch.setattr(drawings, "in_every_format", lambda figure, name: drawn.append(name) or {"svg": b""})
    other = replace(results, verdicts=tuple(with_base(verdict, correct=0) for verdict in results.verdicts))
    for found, times in ((results, 1), (results, 1), (other, 2), (results, 2)):
        drawings.render(drawings.drawings_of(found, [], SUITE)[name], name)
        assert len(drawn) == times


@pytest.mark.parametrize("draw", [draw_hypothesis, draw_effects])
def test_a_measured_pair_is_drawn_over_its_record_and_the_legend_says_so(results, draw):
    fewer = [with_base(verdict, correct=0) for verdict in results.verdicts]
    for recorded, there in ((fewer, True), (results.verdicts, False), ((), False)):
        drawing = svg(draw([sections(results.verdicts, recorded)[0].panels]), "x")
        assert ("recorded before" in drawing) == ("/recorded" in drawing) == there


@pytest.mark.parametrize("draw", [draw_hypothesis, draw_effects])
def test_a_legend_says_what_is_from_counts(results, paper, draw):
    for verdicts, counted in ((results.verdicts, False), (paper[1], True)):
        drawing = svg(draw([sections(verdicts, [])[0].panels]), "x")
        assert (FROM_COUNTS in drawing) == counted


def test_figures_of_another_sample_are_not_drawn_beside_a_run(results):
    """One query fewer than in this run, in one bucket."""
    other = with_base(results.verdicts[0], n=results.verdicts[0].comparison.base.n - 1, correct=0)
    [section] = sections(results.verdicts, [other, *results.verdicts[1:]])
    assert section.panels[0].behind == {} and not section.panels[0].as_recorded


def test_the_recorded_figures_are_not_drawn_over_the_same_ones(results):
    [section] = sections(results.verdicts, results.verdicts)
    assert section.panels[0].behind == {} and section.panels[0].as_recorded


def with_base(verdict, **changes):
    """The verdict with another accuracy of the base."""
    base = replace(verdict.comparison.base, **changes)
    return replace(verdict, comparison=replace(verdict.comparison, base=base))


def test_the_legend_of_effects_has_the_outcomes_that_are_drawn(results):
    drawing = svg(draw_effects([sections(results.verdicts, [])[0].panels]), "x")
    outcomes = {verdict.outcome for verdict in results.verdicts}
    assert "better" in outcomes
    for outcome in get_args(Outcome):
        assert (f">{outcome}<" in drawing) == (outcome in outcomes)


def test_a_sample_without_an_operation_is_drawn_empty(asked):
    """Its accuracies at 1+ have no levels."""
    nothing = accuracy_by_factor(Evaluation("m", {}, (), {}, "", {}), asked)
    assert all(not levels for levels in nothing.values())
    assert "accuracy at 1+" in svg(draw_factors({"before": nothing, "after": nothing}), "x")


def test_bars_of_errors_are_as_high_as_the_share_that_is_wrong(results):
    """`before` is wrong after one operation, `after` only after two: 5 of the 19 boxes with any."""
    figure = drawings_of(results, [], SUITE)["code-before..after-errors"].figure()
    other = ERROR_KINDS.index("other")
    before, after = ([bar.get_height() for bar in axes.containers[other]] for axes in figure.axes)
    assert before == [0, 100, 100, 100]
    assert after == pytest.approx([0, 0, 100, 500 / 19])
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert labels == ["0", "1", "2", "1+"]
