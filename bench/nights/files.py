"""Night -> a file and back: every figure of it is checked when it is read."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import msgspec

from bench import DATA
from bench.inputs import LONGEST_NAME, InputError, place, read_json, shortened
from bench.nights.regression import LETTERS, Night, SavedGain, SavedModel
from bench.outputs import check_replaceable, write_text
from bench.proportions import accuracy
from bench.records import BUCKETS

BASELINE = DATA / "baseline.json"  # changed by `python -m bench baseline-update` alone
SCHEMA = 2
Count = Annotated[int, msgspec.Meta(ge=0, le=10**9)]
Fact = str | float | bool | None | list[str]  # of a fingerprint


class CountTable(msgspec.Struct):
    n: Count
    correct: Count
    scenarios: Count
    design_effect: Annotated[float, msgspec.Meta(ge=1, le=10**9)]


class ModelTable(msgspec.Struct):
    answers: Annotated[str, msgspec.Meta(pattern=rf"\A[{re.escape(''.join(LETTERS.values()))}]*\Z")]
    accuracies: dict[str, CountTable]
    fingerprint: dict[str, Fact]


Share = Annotated[float, msgspec.Meta(ge=-1, le=1)]


class GainTable(msgspec.Struct):
    value: Share
    low: Share
    high: Share
    outcome: str


class NightTable(msgspec.Struct):
    metadata: dict[str, str]
    models: dict[str, ModelTable]
    gains: dict[str, GainTable] = {}


class Schema(msgspec.Struct):
    schema: int


def save(night: Night, path: Path) -> Path:
    """Write a night in one step. A night of that name is replaced."""
    table = {key: value for key, value in asdict(night).items() if key != "name"}  # the file's name is
    return write_text(path, json.dumps({"schema": SCHEMA, **table}, indent=1, default=str) + "\n")


def load(path: Path) -> Night:
    """A saved night. Raises InputError if there is none, or one of another schema or edited."""
    if not path.exists():
        raise InputError(
            f"no saved run {path}. Save one with --boxes-save=NAME; "
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
        {pair: SavedGain(**msgspec.structs.asdict(entry)) for pair, entry in table.gains.items()},
        "the pinned baseline" if path == BASELINE else path.stem,
    )


def model_of(table: ModelTable, where: str) -> SavedModel:
    """Raises InputError unless buckets are known and their counts are those of the answers."""
    for bucket, found in table.accuracies.items():
        if bucket not in BUCKETS:
            raise InputError(
                f"{where}: unknown bucket {shortened(bucket)!r}. Choose from {', '.join(BUCKETS)}."
            )
        if found.correct > found.n:
            raise InputError(f"{where}: {bucket}: {found.correct} of {found.n} cannot be right.")
        if found.scenarios > found.n:
            raise InputError(f"{where}: {bucket}: {found.scenarios} scenarios, but {found.n} queries.")
    all_of = [table.accuracies[name] for name in ("ops0", "ops1plus") if name in table.accuracies]
    counted = sum(found.n for found in all_of), sum(found.correct for found in all_of)
    if counted != (len(table.answers), table.answers.count(LETTERS[None])):
        raise InputError(
            f"{where}: {counted[1]} of {counted[0]} right by ops0 and ops1plus, but the answers say "
            f"{table.answers.count(LETTERS[None])} of {len(table.answers)}. Save a run and update it."
        )
    counts = {
        bucket: accuracy(found.correct, found.n, found.scenarios, found.design_effect)
        for bucket, found in table.accuracies.items()
    }
    return SavedModel(table.answers, counts, table.fingerprint)


def find_night(name_or_path: str, saved: Path) -> Path:
    """The file of a night: a path, a name among the saved ones, or, for "", the pinned baseline."""
    if not name_or_path:
        return BASELINE
    path = place(name_or_path)
    return path if path.suffix == ".json" else saved / f"{check_name(name_or_path)}.json"


def check_name(name: str) -> str:
    """A name that can be a file's. Raises InputError."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name) or len(name) > LONGEST_NAME:
        raise InputError(
            f"cannot save a run as {shortened(name)!r}. Use letters, digits and _ . - for its name, "
            f"at most {LONGEST_NAME} of them."
        )
    return name


def check_saved(name: str, folder: Path) -> None:
    """Raises InputError where a run cannot be saved under this name, or a saved one cannot be read."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is not a folder, so no run can be saved there. Move it away.")
    for path in [folder.parent / "history.html", *([folder / f"{check_name(name)}.json"] if name else [])]:
        check_replaceable(path)
    load_all(folder)


def load_all(folder: Path) -> list[Night]:
    """The saved runs of a folder, oldest first."""
    return sorted((load(path) for path in folder.glob("*.json")), key=lambda night: night.run)
