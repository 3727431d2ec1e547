"""Night -> a file, and back. Reading checks every figure. Also python -m bench baseline-update."""

from __future__ import annotations

import argparse
import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import msgspec

from bench import DATA, ROOT
from bench.inputs import LONGEST_NAME, InputError, place, read_json, shortened
from bench.nights.regression import LETTERS, Night, SavedGain, SavedModel
from bench.outputs import check_replaceable, write_text
from bench.proportions import accuracy
from bench.records import BUCKETS
from bench.text import say

BASELINE = DATA / "baseline.json"  # only `python -m bench baseline-update` changes it
SCHEMA = 2
Count = Annotated[int, msgspec.Meta(ge=0, le=10**9)]
Fact = str | float | bool | None | list[str]  # a value of a fingerprint


class CountTable(msgspec.Struct):
    n: Count
    correct: Count
    scenarios: Count
    design_effect: Annotated[float, msgspec.Meta(ge=1, le=10**9)]


class ModelTable(msgspec.Struct):
    answers: Annotated[str, msgspec.Meta(pattern=rf"\A[{re.escape(''.join(LETTERS.values()))}]*\Z")]
    accuracies: dict[str, CountTable]
    fingerprint: dict[str, Fact]


class NightTable(msgspec.Struct):
    metadata: dict[str, str]
    models: dict[str, ModelTable]
    gains: dict[str, SavedGain] = {}


class Schema(msgspec.Struct):
    schema: int


def save(night: Night, path: Path) -> Path:
    """Write a night in one step. It replaces a night of the same name."""
    table = {key: value for key, value in asdict(night).items() if key != "name"}  # the file has the name
    return write_text(path, json.dumps({"schema": SCHEMA, **table}, indent=1, default=str) + "\n")


def load(path: Path) -> Night:
    """A saved night. Raises InputError if it is missing, edited or of another schema."""
    if not path.exists():
        raise InputError(
            f"no saved run {path}. Save one with --boxes-save=NAME. "
            "python -m bench baseline-update NAME makes it the baseline."
        )
    if (found := read_json(path, Schema).schema) != SCHEMA:
        raise InputError(f"{path} has schema {found}, not {SCHEMA}. Save a run and update the baseline.")
    table = read_json(path, NightTable)
    if "run" not in table.metadata:
        raise InputError(f"{path}: metadata: run is missing. Save a run and update the baseline.")
    return Night(
        table.metadata,
        {name: model_of(entry, f"{path}: {name}") for name, entry in table.models.items()},
        table.gains,
        "the pinned baseline" if path == BASELINE else path.stem,
    )


def model_of(table: ModelTable, where: str) -> SavedModel:
    """A model of a saved night. Raises InputError if a bucket is unknown or counts contradict the answers."""
    for bucket, found in table.accuracies.items():
        if bucket not in BUCKETS:
            raise InputError(
                f"{where}: unknown bucket {shortened(bucket)!r}. Choose from {', '.join(BUCKETS)}."
            )
        if found.correct > found.n:
            raise InputError(f"{where}: {bucket}: {found.correct} of {found.n} right is impossible.")
        if found.scenarios > found.n:
            raise InputError(f"{where}: {bucket}: {found.scenarios} scenarios, but {found.n} queries.")
    all_of = [table.accuracies[name] for name in ("ops0", "ops1plus") if name in table.accuracies]
    counted = sum(found.n for found in all_of), sum(found.correct for found in all_of)
    if counted != (len(table.answers), table.answers.count(LETTERS[None])):
        raise InputError(
            f"{where}: ops0 and ops1plus have {counted[1]} of {counted[0]} right, but the answers have "
            f"{table.answers.count(LETTERS[None])} of {len(table.answers)}. Save a run and update it."
        )
    counts = {
        bucket: accuracy(found.correct, found.n, found.scenarios, found.design_effect)
        for bucket, found in table.accuracies.items()
    }
    return SavedModel(table.answers, counts, table.fingerprint)


def find_night(name_or_path: str, saved: Path) -> Path:
    """The file of a night, by path or by the name of a saved run. "" means the pinned baseline."""
    if not name_or_path:
        return BASELINE
    path = place(name_or_path)
    return path if path.suffix == ".json" else saved / f"{check_name(name_or_path)}.json"


def check_name(name: str) -> str:
    """The name, if it can be a file name. Raises InputError otherwise."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name) or len(name) > LONGEST_NAME:
        raise InputError(
            f"cannot save a run as {shortened(name)!r}. Use at most {LONGEST_NAME} letters, digits "
            "and the characters _ . -"
        )
    return name


def check_saved(name: str, folder: Path) -> None:
    """Raises InputError if a run cannot be saved under this name, or if a saved run cannot be read."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is not a folder, so no run can be saved there. Move it.")
    for path in [folder.parent / "history.html", *([folder / f"{check_name(name)}.json"] if name else [])]:
        check_replaceable(path)
    load_all(folder)


def load_all(folder: Path) -> list[Night]:
    """The saved runs of a folder, oldest first."""
    return sorted((load(path) for path in folder.glob("*.json")), key=lambda night: night.run)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("night", metavar="NAME|PATH", help="a run that was saved with --boxes-save")
    parser.add_argument(
        "--report-dir", type=Path, default=ROOT / "reports", metavar="DIR", help="default: reports"
    )
    parser.add_argument("--to", type=Path, default=BASELINE, metavar="PATH", help="default: the pinned one")


def run(arguments: argparse.Namespace) -> int:
    """Replace the baseline, and print the change of each model for review."""
    if not arguments.night:
        raise InputError("the name of the saved run is empty. Give the name that --boxes-save had.")
    night = load(find_night(arguments.night, arguments.report_dir / "saved"))
    before = load(arguments.to) if arguments.to.is_file() else Night({"run": "none"}, {})
    save(night, arguments.to)
    say(f"{arguments.to}: {before.run} -> {night.run}")
    for name in sorted(before.models.keys() | night.models.keys()):
        say(f"  {name}: {in_words(before, name)} -> {in_words(night, name)}")
    return 0


def in_words(night: Night, model: str) -> str:
    found = night.models.get(model)
    if found is None:
        return "not included"
    if (shown := found.accuracies.get("ops1plus")) is None:
        return "no queries at 1+"
    return f"{shown.value:.1%} at 1+ ({shown.correct} of {shown.n})"
