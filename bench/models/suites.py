"""Suite file (TOML), recorded figures (CSV) -> Suite. The name of a model -> ModelEntry.

Every error names the file and the key or line.
"""

from __future__ import annotations

import csv
import io
import re
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import msgspec

from bench import SUITES
from bench.inputs import LONGEST_NAME, InputError, nearest, place, read_text, read_toml, shortened
from bench.models.files import folder_of, how_to_download
from bench.outputs import write_text
from bench.proportions import accuracy
from bench.records import BUCKETS, COMMIT, Accuracy, ModelEntry, Pair, Suite
from bench.text import say

NAME = re.compile(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9_.-]*")  # ".." separates two names in case ids
HUB = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?", re.ASCII)
Text = Annotated[str, msgspec.Meta(max_length=1000)]
Positive = Annotated[float, msgspec.Meta(gt=0, lt=1e6)]
OPS1PLUS = [bucket for bucket in BUCKETS if bucket not in ("ops0", "ops1plus")]
Row = Mapping[str, str]
Read = TypeVar("Read")
MOST_QUERIES = 10**9


class ModelFields(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The keys of a model besides its name and place. --boxes-model-args also sets them."""

    revision: Text | None = None
    family: Text = ""
    parameters: Positive | None = None
    chat: bool = False
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    quantization: Literal["8bit", "4bit"] | None = None
    adapter: Text | None = None
    memory_gb: Positive | None = None
    allow_pickle: bool = False
    trust_remote_code: bool = False
    licence: Text = ""
    think_end: Text | None = None
    group: Text = ""


class ModelTable(ModelFields, forbid_unknown_fields=True, kw_only=True):
    """One [[models]] entry: a folder, relative to the suite file, or a model id of the hub.

    recorded_as: the model's name in the recorded figures, if it is neither its name nor its hub id.
    """

    name: str
    path: Text | None = None
    hub: Text | None = None
    recorded_as: Text | None = None


class PairTable(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    hypothesis: Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]*$")]  # part of a marker's name
    base: str
    variant: str
    control: Literal["positive", "negative"] | None = None
    source: Text = ""
    series: Text = ""


class SuiteTable(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    name: str
    recorded: Text | None = None
    recorded_baseline: Text | None = None
    models: Annotated[list[ModelTable], msgspec.Meta(min_length=1)]
    pairs: list[PairTable] = []


def load_suite(name_or_path: str) -> Suite:
    """A suite by its name in fixtures/suites or by its file. Raises InputError for any mistake in it."""
    path = find_suite(name_or_path)
    table = read_toml(path, SuiteTable)
    check_name(table.name, str(path))
    models = [model_of(entry, path, number) for number, entry in enumerate(table.models, start=1)]
    known = {model.name: model for model in models}
    check_unique([model.name for model in models], f"{path}: [[models]]: name")
    pairs = [pair_of(entry, known, path, number) for number, entry in enumerate(table.pairs, start=1)]
    check_unique([pair.id for pair in pairs], f"{path}: [[pairs]]")
    return Suite(table.name, known, tuple(pairs), *read_recorded(table, path))


def find_suite(name_or_path: str) -> Path:
    """The file of a suite. A bare name means a suite in fixtures/suites."""
    if name_or_path in suite_names():
        return SUITES / f"{name_or_path}.toml"
    path = place(name_or_path)
    if path.suffix == ".toml" and not path.exists():
        raise InputError(f"no suite file {path}. Check it, or choose from {', '.join(suite_names())}.")
    if not path.exists() or path.is_dir():
        raise InputError(
            f"unknown suite {name_or_path!r}. Choose from {', '.join(suite_names())}, or give a TOML file."
        )
    return path


def suite_names() -> list[str]:
    return sorted(path.stem for path in SUITES.glob("*.toml"))


def model_of(table: ModelTable, suite: Path, number: int) -> ModelEntry:
    """One [[models]] entry. `path` and `adapter` are relative to the suite file."""
    where = f"{suite}: [[models]] {number} ({shortened(table.name)})"
    check_name(table.name, where)
    if (table.path is None) == (table.hub is None):
        raise InputError(f"{where}: give either path (a local folder) or hub (a model id).")
    if table.trust_remote_code and table.hub and not COMMIT.fullmatch(table.revision or ""):
        raise InputError(
            f"{where}: trust_remote_code runs code from the hub. Set revision to a commit (40 hex digits)."
        )
    fields = {name: getattr(table, name) for name in ModelFields.__struct_fields__}
    if table.adapter is not None:
        fields["adapter"] = str(relative(table.adapter, suite))
    if table.hub is None:
        return ModelEntry(table.name, str(relative(table.path or "", suite)), **fields)
    if not HUB.fullmatch(table.hub):
        raise InputError(f"{where}: hub: {table.hub!r} is not a model id. Write owner/name.")
    return ModelEntry(table.name, table.hub, "hub", **fields)


def entry_of(text: str | Path, *, chat: bool = False, name: str | None = None) -> ModelEntry:
    """The entry that a suite file would have for a hub id, a folder, a GGUF file or an embedded model.

    Raises ValueError if there is no such model.
    """
    embedded = load_suite("embedded").models
    if str(text) in embedded:
        found = embedded[str(text)]
        return replace(found, name=name or found.name)
    path = place(text)
    if isinstance(text, Path) or path.exists() or text.startswith((".", "/", "~")):
        if not path.exists():
            raise InputError(
                f"no model at {path}. Give a folder with a checkpoint, or a hub id (owner/name)."
            )
        return ModelEntry(name or name_of(path.resolve().name), str(path.resolve()), chat=chat)
    if not HUB.fullmatch(str(text)):
        raise InputError(f"{str(text)!r} is not a model. Give a hub id (owner/name), folder or GGUF file.")
    return ModelEntry(name or name_of(str(text).rpartition("/")[2]), str(text), "hub", chat=chat)


def relative(text: str, suite: Path) -> Path:
    return (suite.parent / place(text)).resolve()


def pair_of(table: PairTable, models: Collection[str], suite: Path, number: int) -> Pair:
    """One [[pairs]] entry: two models of this file."""
    where = f"{suite}: [[pairs]] {number}"
    for key in ("base", "variant"):
        if (name := getattr(table, key)) not in models:
            raise InputError(f"{where}: {key}: no model {shortened(name)!r} here.{nearest(name, models)}")
    if table.base == table.variant:
        raise InputError(f"{where}: base and variant are both {table.base!r}. Give two models.")
    return Pair(**msgspec.structs.asdict(table))


def check_name(name: str, where: str) -> None:
    if len(name) > LONGEST_NAME:
        raise InputError(f"{where}: name: {shortened(name)!r} has more than {LONGEST_NAME} characters.")
    if not NAME.fullmatch(name):
        raise InputError(
            f"{where}: name: {shortened(name)!r} has other characters than A-Z a-z 0-9 _ . -, two dots in a "
            f"row, or no letter or digit at its start. Write {name_of(name)!r}."
        )


def name_of(text: str) -> str:
    """A valid name for a suite: letters, digits, dots, dashes and underscores, without two dots in a row."""
    return re.sub(r"\.\.+", ".", re.sub(r"[^A-Za-z0-9_.-]+", "-", text)).strip("-._") or "model"


def check_unique(names: Sequence[str], where: str) -> None:
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{where}: {name!r} appears twice. Remove or rename one.")


def read_recorded(table: SuiteTable, suite: Path) -> tuple[dict[str, dict[str, Accuracy]], dict[str, float]]:
    """Recorded accuracies of the suite's models, and the baseline's.

    The rows of a model have its recorded_as, its name or its hub id.
    """
    if table.recorded is None:
        if table.recorded_baseline is not None:
            raise InputError(f"{suite}: recorded_baseline needs recorded accuracies. Add recorded.")
        return {}, {}
    found = read_accuracies(relative(table.recorded, suite))
    rows = {
        model.name: found.get(model.recorded_as or model.name) or found.get(model.hub or "")
        for model in table.models
    }
    recorded = {name: figures for name, figures in rows.items() if figures}
    if table.recorded_baseline is None:
        return recorded, {}
    return recorded, read_baseline(relative(table.recorded_baseline, suite), next(iter(found.values())))


def read_accuracies(path: Path) -> dict[str, dict[str, Accuracy]]:
    """Columns: model or model_id; bucket or num_ops; accuracy in [0, 1] or accuracy_percent; n.

    The number of right answers is rounded to a whole number. ops1plus is computed from the counts.
    Raises ValueError for a file that is missing or has another form.
    """
    found: dict[str, dict[str, Accuracy]] = {}
    for model, bucket, recorded in read_rows(path, model_row):
        found.setdefault(model, {})[bucket] = recorded
    if not found:
        raise InputError(
            f"{path}: has no recorded figures. Add a line per model and bucket, or remove the file."
        )
    for buckets in found.values():
        counted = [buckets[bucket] for bucket in OPS1PLUS if bucket in buckets]
        if counted:
            pooled = accuracy(sum(entry.correct for entry in counted), sum(entry.n for entry in counted))
            buckets.setdefault("ops1plus", pooled)
    return found


def read_baseline(path: Path, asked: Mapping[str, Accuracy]) -> dict[str, float]:
    """Columns: bucket or num_ops; accuracy or accuracy_percent. asked: the weights in ops1plus are its n."""
    found = dict(read_rows(path, figure_of))
    counts = {bucket: asked[bucket].n for bucket in OPS1PLUS if bucket in found and bucket in asked}
    if counts:
        found["ops1plus"] = sum(found[bucket] * n for bucket, n in counts.items()) / sum(counts.values())
    return found


def read_rows(path: Path, read: Callable[[Row], Read]) -> list[Read]:
    lines = csv.DictReader(io.StringIO(read_text(path), newline=""))
    try:
        found = []
        for row in lines:
            if None in row:  # csv puts values beyond the last column there
                raise ValueError("there are more values than columns")
            found.append(read(row))
        return found
    except (LookupError, TypeError, ValueError, csv.Error) as error:
        why = {KeyError: f"no column {error}", TypeError: "a value is missing"}.get(type(error), error)
        raise InputError(
            f"{path}, line {lines.line_num}: cannot be read as recorded figures: {why}."
        ) from None


def model_row(row: Row) -> tuple[str, str, Accuracy]:
    bucket, share = figure_of(row)
    n = int(row["n"])
    if not 0 < n < MOST_QUERIES:
        raise ValueError(f"n is not a number from 1 to {MOST_QUERIES}")
    return row["model" if "model" in row else "model_id"], bucket, accuracy(round(share * n), n)


def figure_of(row: Row) -> tuple[str, float]:
    """The bucket of a row and its accuracy."""
    bucket = row["bucket"] if "bucket" in row else f"ops{row['num_ops']}"
    share = float(row["accuracy"]) if "accuracy" in row else float(row["accuracy_percent"]) / 100
    if bucket not in BUCKETS:
        raise ValueError(f"unknown bucket {bucket!r}")
    if not 0 <= share <= 1:
        raise ValueError(f"accuracy {share} is outside [0, 1]")
    return bucket, share


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("suite", metavar="SUITE", help="a name or a TOML file, as in --boxes-suite")


def run(args: Namespace) -> int:
    """python -m bench pin SUITE: write the commits in the hub's cache into a suite file.

    A branch changes, so a suite that names a branch may measure other weights next month. Nothing is
    downloaded. It prints a line for each model that is still not pinned.
    """
    import tomlkit

    found: dict[str, str] = {}
    missing: list[ModelEntry] = []
    for entry in load_suite(args.suite).models.values():
        if not entry.pinned:
            try:
                found[entry.name] = folder_of(entry).name  # the name of a snapshot is its commit
            except ValueError:
                missing.append(entry)
    path = find_suite(args.suite)
    document = tomlkit.parse(read_text(path))  # with its comments
    for table in document["models"]:
        if table["name"] in found:
            table["revision"] = found[table["name"]]
    write_text(path, tomlkit.dumps(document))
    for name, commit in found.items():
        say(f"{name}: {commit}")
    for entry in missing:
        say(f"{entry.name}: not pinned, because it is not downloaded. {how_to_download(entry)}")
    say(f"{path}: {len(found)} models pinned, {len(missing)} not pinned.")
    return 0
