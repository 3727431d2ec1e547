"""Results -> the drawings of a report, in one style, as SVG, PNG and PDF.

A drawing is made when it is written, and again only if its data changed. matplotlib is imported only for a
drawing that is not in the cache.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import msgspec

from bench.cache import kept
from bench.records import (
    BUCKETS,
    Accuracy,
    Comparison,
    Difference,
    Evaluation,
    ModelEntry,
    Results,
    Suite,
    Verdict,
    in_bucket,
)
from bench.report.panels import Panel, rows_of, sections
from bench.scoring.pooling import pool_all
from bench.scoring.scores import count_errors

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from bench.nights.regression import SavedGain

MAIN = "ops1plus"
THINKING = "thinking-budget"  # the name of a drawing
ALONE = (4.8, 3.1)  # size of a single panel in inches
DAYS = 30  # time that a drawing is kept after its last use
Points = list[tuple[int, float]]  # tokens, accuracy in [0, 1]

# Okabe and Ito's palette, which colour-blind readers can distinguish. Markers repeat the meaning of colours.
INK, MUTED, GRID = "#24292f", "#6e7781", "#e2e5e9"
BASE, VARIANT = "#0072b2", "#d55e00"
GAIN, LOSS = "#009e73", "#aa3377"
ERRORS = {
    "stale": "#e69f00", "missing": "#56b4e9", "extra": "#cc79a7", "other": "#9aa1a9", "unread": "#4d5560",
}  # fmt: skip
STYLE = {
    "font.family": ["DejaVu Sans"],
    "font.size": 8.5,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.handletextpad": 0.5,
    "legend.borderaxespad": 0.2,
    "legend.borderpad": 0.1,
    "figure.constrained_layout.h_pad": 0.02,
    "figure.constrained_layout.w_pad": 0.02,
    "svg.fonttype": "none",  # text stays text, so that it can be searched and read by screen readers
}
FORMATS = ("svg", "png", "pdf")
SLIMMER = [  # parts of matplotlib's SVG that are not needed, and their replacements
    (re.compile(pattern, re.DOTALL), replacement)
    for pattern, replacement in (
        (r"^.*?(?=<svg)|\n? *<metadata>.*?</metadata>", ""),
        (r"(\d\.\d\d)\d+", r"\1"),
        (r"font-family: 'DejaVu Sans'; |(?<=</style>)\n *(?=</defs>)", ""),
        (r"(?<=butt\})(?=</style>)", "text{font-family:'DejaVu Sans'}"),
        (r' transform="rotate\(-0 [\d. ]+\)"', ""),
        (r' id="(?:figure|patch|text|line2d|xtick|ytick|legend|matplotlib\.axis|LineCollection)_\d+"', ""),
        (r"\n *<g/>", ""),
        (r"\n +", "\n"),
        (r" *\n(?=[LCz])| \n", " "),
    )
]


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure that is not drawn yet. what: a function of this folder, such as figures.draw_effects."""

    what: str
    made_of: tuple[object, ...]

    def figure(self) -> Figure:
        module, _, function = self.what.partition(".")
        return getattr(import_module(f"bench.report.{module}"), function)(*self.made_of)


def render(drawing: Drawing, name: str) -> dict[str, bytes]:
    """The drawing in every format, from the cache if it was drawn before."""

    def draw() -> bytes:
        return msgspec.msgpack.encode(in_every_format(drawing.figure(), name))

    key = [name, drawing.what, repr(drawing.made_of), version("matplotlib")]
    return msgspec.msgpack.decode(kept("figure", key, draw, DAYS), type=dict[str, bytes])


def drawings_of(results: Results, recorded: Iterable[Verdict], suite: Suite) -> dict[str, Drawing]:
    """The drawings of each pair, and of each hypothesis or series with several pairs, by name."""
    found: dict[str, Drawing] = {}
    for section in sections(results.verdicts, recorded):
        for panel in section.panels:
            found |= of_pair(panel, results)
        if len(section.panels) > 1:
            rows = rows_of(section.panels, suite)
            found[f"{section.name}-accuracy"] = Drawing("figures.draw_hypothesis", (rows,))
            found[f"{section.name}-effects"] = Drawing("figures.draw_effects", (rows,))
    found |= of_series(results.verdicts, suite.models) | of_hypotheses(results.verdicts)
    return found | of_thinking(results.evaluations.values())


def of_pair(panel: Panel, results: Results) -> dict[str, Drawing]:
    """Four drawings; two if only counts are known."""
    found = {
        f"{panel.name}-accuracy": Drawing("figures.draw_hypothesis", ([[panel]], ALONE)),
        f"{panel.name}-effects": Drawing("figures.draw_effects", ([[panel]], ALONE)),
    }
    models = (panel.pair.base, panel.pair.variant)
    if all(name in results.evaluations for name in models):
        errors = {
            name: {bucket: count_errors(results.evaluations[name].scores, bucket) for bucket in BUCKETS}
            for name in models
        }
        found[f"{panel.name}-errors"] = Drawing("figures.draw_errors", (errors,))
    if all(name in results.factors for name in models):
        factors = {name: results.factors[name] for name in models}
        found[f"{panel.name}-factors"] = Drawing("figures.draw_factors", (factors,))
    return found


def of_hypotheses(verdicts: Sequence[Verdict]) -> dict[str, Drawing]:
    """The forest plot of each hypothesis with several pairs. Controls are left out."""
    found: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        pair = verdict.comparison.pair
        if verdict.comparison.bucket == MAIN and not pair.control:
            found.setdefault(pair.hypothesis, []).append(verdict)
    return {
        f"{pooled.hypothesis}-forest": Drawing("overviews.draw_pooled_gains", (pooled, of_pairs))
        for pooled, of_pairs in zip(pool_all(verdicts), found.values(), strict=True)
        if len(of_pairs) > 1
    }


def of_series(verdicts: Iterable[Verdict], models: Mapping[str, ModelEntry]) -> dict[str, Drawing]:
    """One drawing per series with two or more pairs."""
    found: dict[str, list[Comparison]] = {}
    for verdict in verdicts:
        compared = verdict.comparison
        if compared.pair.series and compared.bucket == MAIN:
            found.setdefault(compared.pair.series, []).append(compared)
    return {
        f"series-{name}": Drawing(
            "overviews.draw_chain_or_sizes",
            (name, pairs, [models[compared.pair.base].parameters or 1.0 for compared in pairs]),
        )
        for name, pairs in found.items()
        if len(pairs) > 1
    }


def of_thinking(evaluations: Iterable[Evaluation]) -> dict[str, Drawing]:
    """One drawing of all models that think: accuracy by the number of thinking tokens allowed."""
    points = {found.model: by_budget(found) for found in evaluations if found.thinking}
    return {THINKING: Drawing("overviews.draw_budgets", (points,))} if points else {}


def by_budget(evaluation: Evaluation, bucket: str = MAIN) -> Points:
    """Accuracy at each number of tokens where it changes, from 0 to the most tokens spent.

    Decoding is greedy, so a smaller budget cuts the same thoughts earlier. One run therefore shows the
    accuracy at every smaller budget: an answer counts if its thinking fits.
    """
    asked = [score for score in evaluation.scores if in_bucket(score.num_ops, bucket)]
    spent = sorted(evaluation.thinking[score.example_id] for score in asked if score.correct)
    points: Points = [(0, 0.0)]
    for right, tokens in enumerate(spent, start=1):
        points.append((tokens, right / len(asked)))
    points.append((max(evaluation.thinking.values()), len(spent) / max(len(asked), 1)))
    return sorted(dict(points).items())


def styled(**others: str) -> Any:
    """The style of all figures, for drawing and writing: a decorator and a context manager."""
    import matplotlib

    return matplotlib.rc_context({**STYLE, **others})


def in_every_format(figure: Figure, name: str) -> dict[str, bytes]:
    """One drawing in every format. The same figures give the same bytes."""
    drawing = svg(figure, name).encode()
    figure.set_layout_engine(None)  # the layout is done; the other formats keep it and draw only once
    with styled():
        pdf = saved(figure, format="pdf", metadata={"CreationDate": None, "Creator": None})
    return {"svg": drawing, "png": png(figure), "pdf": pdf}


def png(figure: Figure) -> bytes:
    with styled():
        return saved(figure, format="png", dpi=160, facecolor="white", metadata={"Software": None})


def svg(figure: Figure, name: str) -> str:
    """The drawing as SVG. Its ids contain the name, so one page can hold many drawings."""
    prefix = f"f{sha256(name.encode()).hexdigest()[:6]}-"
    with styled(**{"svg.hashsalt": name}):
        drawing = saved(
            figure, format="svg", transparent=True, metadata={"Date": None, "Creator": None}
        ).decode()
    for pattern, replacement in SLIMMER:
        drawing = pattern.sub(replacement, drawing)
    return re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}", drawing)


def saved(figure: Figure, **options: Any) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, **options)
    return out.getvalue()


def draw_intervals(
    axes: Axes, places: Sequence[float], found: Iterable[Accuracy | Difference | SavedGain], colour: str
) -> None:
    """The interval of each figure, in percent."""
    entries = list(found)
    low, high = [100 * entry.low for entry in entries], [100 * entry.high for entry in entries]
    axes.vlines(places, low, high, color=colour, linewidth=0.9)
