"""Suite file (TOML) -> Suite: models, pairs and recorded figures. Every error names the file and the key."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from bench import SUITES
from bench.models.recorded import read_accuracies, read_baseline
from bench.records import COMMIT, Accuracy, ModelEntry, Pair, Suite

Kind = type | tuple[str, ...]  # of a value: its type, or the words it may be

SUITE_KEYS: dict[str, Kind] = {
    "name": str,
    "recorded": str,
    "recorded_baseline": str,
    "models": list,
    "pairs": list,
}
MODEL_KEYS: dict[str, Kind] = {
    "name": str,
    "path": str,
    "hub": str,
    "revision": str,
    "family": str,
    "parameters": float,
    "chat": bool,
    "dtype": ("auto", "float32", "bfloat16", "float16"),
    "quantization": ("8bit", "4bit"),
    "adapter": str,
    "memory_gb": float,
    "allow_pickle": bool,
    "trust_remote_code": bool,
    "licence": str,
}
PAIR_KEYS: dict[str, Kind] = {
    "hypothesis": ("code", "math", "alignment"),
    "base": str,
    "variant": str,
    "control": ("positive", "negative"),
    "source": str,
    "series": str,
}
KINDS = {str: "a string", float: "a number", bool: "true or false", list: "an array of tables ([[...]])"}
NAME = re.compile(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9_.-]*")  # in case ids, ".." stands between two names
HUB = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?", re.ASCII)


def load_suite(name_or_path: str) -> Suite:
    """A suite by its name in fixtures/suites or by its file. Raises ValueError for anything wrong with it."""
    path = find_suite(name_or_path)
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"{path}: cannot be read as TOML: {error}.") from None
    check_keys(table, SUITE_KEYS, required=("name", "models"), where=str(path))
    check_name(table["name"], str(path))
    models = [read_model(entry, path, number) for number, entry in enumerate(table["models"], start=1)]
    known = {model.name: model for model in models}
    check_unique([model.name for model in models], f"{path}: [[models]]: name")
    pairs = [read_pair(entry, known, path, n) for n, entry in enumerate(table.get("pairs", []), start=1)]
    check_unique([pair.id for pair in pairs], f"{path}: [[pairs]]")
    return Suite(table["name"], known, tuple(pairs), *read_recorded(table, path, known))


def find_suite(name_or_path: str) -> Path:
    """The file of a suite: a bare name is one of fixtures/suites."""
    path = Path(name_or_path).expanduser()
    if path.suffix == ".toml" or path.is_file():
        if not path.is_file():
            raise ValueError(f"no suite file {path}. Check it, or choose from {', '.join(suite_names())}.")
        return path
    if name_or_path not in suite_names():
        raise ValueError(
            f"unknown suite {name_or_path!r}. Choose from {', '.join(suite_names())}, or give a TOML file."
        )
    return SUITES / f"{name_or_path}.toml"


def suite_names() -> list[str]:
    return sorted(path.stem for path in SUITES.glob("*.toml"))


def read_model(table: Mapping[str, Any], suite: Path, number: int) -> ModelEntry:
    """One [[models]] entry; `path` and `adapter` are relative to the suite file."""
    where = place(suite, "models", number, table)
    check_keys(table, MODEL_KEYS, required=("name",), where=where)
    check_name(table["name"], where)
    if ("path" in table) == ("hub" in table):
        raise ValueError(f"{where}: give either path (a local folder) or hub (a model id).")
    if table.get("trust_remote_code") and "hub" in table and not COMMIT.fullmatch(table.get("revision", "")):
        raise ValueError(
            f"{where}: trust_remote_code: runs the hub's code, so set revision to a commit (40 hex digits)."
        )
    fields = {key: value for key, value in table.items() if key not in ("path", "hub")}
    if "adapter" in table:
        fields["adapter"] = str(relative(table["adapter"], suite))
    if "hub" in table:
        if not HUB.fullmatch(table["hub"]):
            raise ValueError(f"{where}: hub: {table['hub']!r} is no model id. Write owner/name.")
        return ModelEntry(path=table["hub"], source="hub", **fields)
    return ModelEntry(path=str(relative(table["path"], suite)), **fields)


def relative(folder: str, suite: Path) -> Path:
    return (suite.parent / Path(folder).expanduser()).resolve()


def read_pair(table: Mapping[str, Any], models: Collection[str], suite: Path, number: int) -> Pair:
    """One [[pairs]] entry: two models of this file."""
    where = place(suite, "pairs", number, table)
    check_keys(table, PAIR_KEYS, required=("hypothesis", "base", "variant"), where=where)
    for key in ("base", "variant"):
        if table[key] not in models:
            raise ValueError(f"{where}: {key}: no model {table[key]!r} here.{nearest(table[key], models)}")
    if table["base"] == table["variant"]:
        raise ValueError(f"{where}: base and variant are both {table['base']!r}. Name two models.")
    return Pair(**table)


def place(suite: Path, array: str, number: int, table: object) -> str:
    """Where in the file: the number of the entry, and its name if it has one."""
    name = table.get("name") if isinstance(table, Mapping) else None
    return f"{suite}: [[{array}]] {number}{f' ({name})' if name else ''}"


def check_keys(table: object, known: Mapping[str, Kind], required: Sequence[str], where: str) -> None:
    """Every key known, every value of its kind, no required key missing."""
    if not isinstance(table, Mapping):
        raise ValueError(f"{where}: expected a table of keys, but got {table!r}.")
    for key, value in table.items():
        if key not in known:
            raise ValueError(f"{where}: unknown key {key!r}.{nearest(key, known)}")
        check_value(value, known[key], f"{where}: {key}")
    for key in required:
        if key not in table:
            raise ValueError(f"{where}: {key} is missing. Add it.")


def check_value(value: object, kind: Kind, where: str) -> None:
    if isinstance(kind, tuple):
        if value not in kind:
            raise ValueError(f"{where}: {value!r} is not one of {', '.join(kind)}.")
    elif kind is float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
            raise ValueError(f"{where}: expected a number above 0, but got {value!r}.")
    elif not isinstance(value, kind):
        raise ValueError(f"{where}: expected {KINDS[kind]}, but got {value!r}.")


def check_name(name: str, where: str) -> None:
    if not NAME.fullmatch(name):
        raise ValueError(f"{where}: name: {name!r} has other characters than A-Z a-z 0-9 _ . -, or two dots.")


def check_unique(names: Sequence[str], where: str) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{where}: {name!r} is there twice. Remove or rename one.")


def nearest(word: str, known: Collection[str]) -> str:
    """A hint for a word that is not known."""
    close = get_close_matches(word, known, n=1)
    return f" Did you mean {close[0]!r}?" if close else f" Choose from {', '.join(known)}."


def read_recorded(
    table: Mapping[str, Any], suite: Path, models: Mapping[str, ModelEntry]
) -> tuple[dict[str, dict[str, Accuracy]], dict[str, float]]:
    """Recorded accuracies of the suite's models (their rows go by name or by hub id), and the baseline's."""
    if "recorded" not in table:
        if "recorded_baseline" in table:
            raise ValueError(f"{suite}: recorded_baseline: stands beside recorded accuracies. Add recorded.")
        return {}, {}
    found = read_accuracies(relative(table["recorded"], suite))
    keys = {name: name if name in found else entry.path for name, entry in models.items()}
    recorded = {name: found[key] for name, key in keys.items() if key in found}
    if "recorded_baseline" not in table:
        return recorded, {}
    return recorded, read_baseline(relative(table["recorded_baseline"], suite), next(iter(found.values())))
