"""Recorded figures (CSV) -> accuracies by model and bucket, and the random baseline recorded with them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from bench.inputs import InputError, read_text
from bench.proportions import accuracy
from bench.records import BUCKETS, Accuracy

OPS1PLUS = [bucket for bucket in BUCKETS if bucket not in ("ops0", "ops1plus")]
Row = Mapping[str, str]
Read = TypeVar("Read")
MOST_QUERIES = 10**9


def read_accuracies(path: Path) -> dict[str, dict[str, Accuracy]]:
    """Columns: model or model_id; bucket or num_ops; accuracy in [0, 1] or accuracy_percent; n.

    Right answers are the nearest whole number; ops1plus is added from the counts.
    Raises ValueError for a file that is missing or of another form.
    """
    found: dict[str, dict[str, Accuracy]] = {}
    for model, bucket, recorded in read_rows(path, model_row):
        found.setdefault(model, {})[bucket] = recorded
    if not found:
        raise InputError(
            f"{path}: has no recorded figures. Add a line a model and bucket, or take the file out."
        )
    for buckets in found.values():
        counted = [buckets[bucket] for bucket in OPS1PLUS if bucket in buckets]
        if counted:
            pooled = accuracy(sum(entry.correct for entry in counted), sum(entry.n for entry in counted))
            buckets.setdefault("ops1plus", pooled)
    return found


def read_baseline(path: Path, asked: Mapping[str, Accuracy]) -> dict[str, float]:
    """Columns: bucket or num_ops; accuracy or accuracy_percent. asked: its n weigh buckets in ops1plus."""
    found = dict(read_rows(path, lambda row: (bucket_of(row), share_of(row))))
    counts = {bucket: asked[bucket].n for bucket in OPS1PLUS if bucket in found and bucket in asked}
    if counts:
        found["ops1plus"] = sum(found[bucket] * n for bucket, n in counts.items()) / sum(counts.values())
    return found


def read_rows(path: Path, read: Callable[[Row], Read]) -> list[Read]:
    lines = csv.DictReader(io.StringIO(read_text(path), newline=""))
    try:
        return [read(row) for row in map(as_many_as_columns, lines)]
    except (LookupError, TypeError, ValueError, csv.Error) as error:
        why = {KeyError: f"no column {error}", TypeError: "a value is missing"}.get(type(error), error)
        raise InputError(
            f"{path}, line {lines.line_num}: cannot be read as recorded figures: {why}."
        ) from None


def as_many_as_columns(row: Row) -> Row:
    if None in row:  # csv's place for values beyond the last column
        raise ValueError("there are more values than columns")
    return row


def model_row(row: Row) -> tuple[str, str, Accuracy]:
    n = int(row["n"])
    if not 0 < n < MOST_QUERIES:
        raise ValueError(f"n is not a number from 1 to {MOST_QUERIES}")
    model = row["model" if "model" in row else "model_id"]
    return model, bucket_of(row), accuracy(round(share_of(row) * n), n)


def bucket_of(row: Row) -> str:
    bucket = row["bucket"] if "bucket" in row else f"ops{row['num_ops']}"
    if bucket not in BUCKETS:
        raise ValueError(f"unknown bucket {bucket!r}")
    return bucket


def share_of(row: Row) -> float:
    share = float(row["accuracy"]) if "accuracy" in row else float(row["accuracy_percent"]) / 100
    if not 0 <= share <= 1:
        raise ValueError(f"accuracy {share} is outside [0, 1]")
    return share
