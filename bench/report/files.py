"""Results -> a folder with report.md, report.html, figures, CSV and JSON. The link `latest` points at it."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from bench.inputs import InputError
from bench.outputs import check_space, replacing
from bench.records import Example, Results, Suite, Verdict
from bench.report.drawings import Drawing, drawings_of, render
from bench.scoring.pooling import pool_all
from bench.text import csv_cell

if TYPE_CHECKING:
    from bench.nights.regression import Regression

CSV_COLUMNS = "model bucket n correct accuracy low high random_baseline scenarios design_effect"
REPORT_BYTES = 20_000_000  # an upper limit for a report of many models


def write(
    results: Results,
    folder: Path,
    suite: Suite,
    examples: Sequence[Example] = (),
    recorded: Sequence[Verdict] = (),
    regression: Regression | None = None,
) -> Path:
    """Write all formats of one run into a folder, all or nothing, and point reports/latest at it.

    examples: the examples that the page can show. recorded: verdicts on figures measured before.
    """
    # jinja2 and pandas take half a second to import, so they are imported after the last answer.
    from bench.report.markdown import markdown
    from bench.report.page import html

    with replacing(folder) as fresh:
        drawings = write_figures(drawings_of(results, recorded, suite), fresh / "figures")
        texts = {
            "report.md": markdown(results, recorded, regression),
            "report.html": html(results, drawings, examples, recorded, regression),
            "accuracy.csv": accuracy_csv(results),
            "results.json": json.dumps(as_json(results), indent=1) + "\n",
        }
        for name, text in texts.items():
            (fresh / name).write_text(text, encoding="utf-8", newline="")
    point_latest_at(folder)
    return folder


def write_figures(drawings: Mapping[str, Drawing], folder: Path) -> dict[str, str]:
    """Each drawing in every format. Returns the SVGs by name."""
    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for name, drawing in drawings.items():
        rendered = render(drawing, name)
        for form, content in rendered.items():
            (folder / f"{name}.{form}").write_bytes(content)
        written[name] = rendered["svg"].decode()
    return written


def accuracy_csv(results: Results) -> str:
    """Columns model, bucket, n, correct and proportions in [0, 1]. The same answers give the same bytes."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(CSV_COLUMNS.split())
    for model, found in sorted(results.accuracies.items()):
        for bucket, accuracy in found.items():
            shares = (accuracy.value, accuracy.low, accuracy.high, results.baseline[bucket])
            clustering = (
                (accuracy.scenarios, f"{accuracy.design_effect:.4f}") if accuracy.scenarios else ("", "")
            )
            counts = (csv_cell(model), bucket, accuracy.n, accuracy.correct)
            writer.writerow([*counts, *(f"{share:.6f}" for share in shares), *clustering])
    return out.getvalue()


def as_json(results: Results) -> dict[str, object]:
    """Every figure of the run, without the answers, which are in the store."""
    return {
        "metadata": dict(results.metadata),
        "asked": dict(results.asked),
        "random_baseline": dict(results.baseline),
        "models": {
            name: {
                "accuracy": {bucket: asdict(found) for bucket, found in results.accuracies[name].items()},
                "forms": dict(evaluation.forms),
                "margins": dict(evaluation.margins),
                "thinking": dict(evaluation.thinking),
                "engine": evaluation.engine,
                "fingerprint": dict(evaluation.fingerprint),
                "run": dict(evaluation.run),
            }
            for name, evaluation in results.evaluations.items()
        },
        "verdicts": [asdict(verdict) for verdict in results.verdicts],
        "hypotheses": [asdict(pooled) for pooled in pool_all(results.verdicts)],
        "skipped": dict(results.skipped),
        "groups": dict(results.groups),
    }


def point_latest_at(folder: Path) -> None:
    """Make `latest` a link to the folder, in one step. The given folder may be `latest` itself."""
    folder = folder.resolve()
    with replacing(folder.parent / "latest", follow=False) as fresh:
        fresh.symlink_to(folder.name, target_is_directory=True)


def check_place(folder: Path) -> Path:
    """The folder of all reports, created if necessary. Raises InputError if it cannot hold a report."""
    latest = folder / "latest"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        if latest.exists() and not latest.is_symlink():
            raise InputError(f"{latest} is not a link made by a run. Rename it, or choose another folder.")
        check_space(folder, REPORT_BYTES)
        return folder
    except OSError as error:
        raise InputError(
            f"cannot write reports into {folder}: {error.strerror}. Choose another folder."
        ) from None
