"""The style of all drawings, and a drawing -> SVG, PNG or PDF."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from bench.records import Accuracy, Difference

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from bench.nights.regression import SavedGain

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


def styled(**others: str) -> AbstractContextManager[None]:
    """The style of all figures, for drawing and writing."""
    import matplotlib

    return matplotlib.rc_context({**STYLE, **others})


def render(figure: Figure, name: str) -> dict[str, bytes]:
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
