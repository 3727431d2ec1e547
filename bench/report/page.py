"""Results -> report.html: one page that needs no other file and no network."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from bench import __version__
from bench.nights.regression import Regression
from bench.records import Example, Results, Verdict
from bench.report import tables
from bench.report.drawings import BASE, ERRORS, FORMATS, GAIN, GRID, INK, LOSS, MUTED, VARIANT
from bench.report.examples import pack
from bench.report.panels import find, recorded_sentence, sections
from bench.report.tabular import Bold, Column, Table, to_csv, to_latex, write_cell
from bench.text import html as as_html

THEME = {  # colour in the drawings -> colour variable of the page, for light and dark mode
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    GRID: "var(--grid)",
    BASE: "var(--base)",
    VARIANT: "var(--variant)",
    GAIN: "var(--gain)",
    LOSS: "var(--loss)",
    **{colour: f"var(--{kind})" for kind, colour in ERRORS.items()},
}
LABELS = {  # text alternatives of the drawings
    "accuracy": "Accuracy by number of operations",
    "effects": "Variant minus base by number of operations",
    "errors": "Share of each kind of error by number of operations",
    "factors": "Accuracy by last operation, objects, operations and box",
    "forest": "Gain of each pair",
}
BIBTEX = f"""\
@article{{kim2024code,
  title   = {{Code Pretraining Improves Entity Tracking Abilities of Language Models}},
  author  = {{Kim, Najoung and Schuster, Sebastian and Toshniwal, Shubham}},
  journal = {{arXiv preprint arXiv:2405.21068}},
  year    = {{2024}},
  url     = {{https://arxiv.org/abs/2405.21068}}
}}

@inproceedings{{kim2023entity,
  title     = {{Entity Tracking in Language Models}},
  author    = {{Kim, Najoung and Schuster, Sebastian}},
  booktitle = {{Proceedings of the 61st Annual Meeting of the Association for Computational Linguistics}},
  year      = {{2023}},
  url       = {{https://aclanthology.org/2023.acl-long.213}}
}}

@misc{{boxesdataset,
  title  = {{boxes-dataset-v1}},
  author = {{Kim, Najoung and Schuster, Sebastian}},
  year   = {{2023}},
  url    = {{https://github.com/sebschu/entity-tracking-lms}}
}}

@software{{entitytrackingbench,
  title   = {{entity-tracking-bench: a pytest benchmark of entity tracking in pairs of language models}},
  author  = {{{{The entity-tracking-bench developers}}}},
  year    = {{2026}},
  version = {{{__version__}}}
}}
"""


def shown(text: str) -> Markup:
    return Markup(as_html(text))  # nosec B704


TEMPLATES = Environment(
    loader=PackageLoader("bench", "report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
    lstrip_blocks=True, finalize=lambda value: shown(value) if type(value) is str else value,
)  # fmt: skip


def html(
    results: Results,
    drawings: Mapping[str, str],
    examples: Sequence[Example] = (),
    recorded: Sequence[Verdict] = (),
    regression: Regression | None = None,
    only_drawn: Collection[str] = (),
) -> str:
    """The whole page. drawings: SVG by name. examples: the examples to browse, if any.

    recorded: verdicts on figures measured before. regression: the changes since an earlier run.
    only_drawn: names of drawings without a file beside the page.
    """
    return TEMPLATES.get_template("page.html.jinja").render(
        results=results,
        sections=sections(results.verdicts, recorded),
        drawings={name: themed(drawing) for name, drawing in drawings.items()},
        series=[name for name in drawings if name.startswith("series-")],
        accuracies=tables.accuracy_table(results, "interval"),
        answers=tables.answers(results) if results.evaluations else None,
        spread=tables.spread_table(results),
        skipped=tables.skip_lines(results.skipped),
        packed=Markup(pack(results, examples)),  # nosec B704
        regression=regression,
        since=tables.headline(regression) if regression else "",
        changes=tables.changes_table(regression) if regression else None,
        bibtex=escape(BIBTEX),
        bibtex_uri=data_uri(BIBTEX, "application/x-bibtex"),
        only_drawn=only_drawn,
        **HELPERS,
    )


def themed(drawing: str) -> Markup:
    """Our drawing in the colours of the page. Its text is already escaped."""
    for ink, variable in THEME.items():
        drawing = drawing.replace(ink, variable)
    return Markup(drawing)  # nosec B704


def split_cell(value: object, column: Column) -> dict[str, object]:
    """A cell's text, its interval, and whether it is bold."""
    text, bracket, interval = write_cell(value, column).partition(" [")
    is_number = column.kind in ("interval", "gain")
    if not is_number:
        text, bracket, interval = text + bracket + interval, "", ""
    return {
        "text": text.replace("-", "−") if is_number else text,
        "interval": (bracket + interval).strip().replace("-", "−"),
        "bold": isinstance(value, Bold),
    }


def data_uri(text: str, kind: str) -> Markup:
    return Markup(f"data:{kind};charset=utf-8,{quote(text)}")  # nosec B704


def downloads(table: Table) -> list[tuple[str, str, Markup]]:
    """Label, file name and address of the table in each form."""
    return [
        ("CSV", f"{table.name}.csv", data_uri(to_csv(table), "text/csv")),
        ("LaTeX", f"{table.name}.tex", data_uri(to_latex(table), "text/plain")),
    ]


HELPERS = {  # what the templates call and say
    "split_cell": split_cell,
    "downloads": downloads,
    "find": find,
    "recorded_sentence": recorded_sentence,
    "tables": tables,
    "labels": LABELS,
    "formats": FORMATS,
}
