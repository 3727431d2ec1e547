"""The released ZIP -> examples. world.py checks every row.

Format and password: Kim & Schuster (2023), data set boxes-dataset-v1. It is read in memory, because its
authors ask to keep uncompressed data out of repositories.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, islice, pairwise
from pathlib import Path
from typing import Annotated

import msgspec
import pyzipper

from bench.inputs import MEGABYTE, InputError, parse_json, place, read_bytes, shortened
from bench.records import Contents, Example, Query
from bench.task.examples import PUBLISHED_COUNTS, examples
from bench.task.wording import MASK, parse, parse_clause

PASSWORD = "iamnotaLM"  # published by the authors
MEMBER = "few_shot_boxes_nso_exp2_max3/test-subsample-states-t5.jsonl"  # the file that the paper runs
SHOWN = 10  # members that an error names
MOST_BYTES = 256 * MEGABYTE  # of rows; the released test split has 90,090 rows of about a kilobyte
MOST_ZIP_BYTES = 1024 * MEGABYTE
Number = Annotated[int, msgspec.Meta(ge=0, le=10**9)]


class ReleasedRow(msgspec.Struct):
    """The fields of a line of the data set that scoring needs."""

    sentence: str
    sentence_masked: str
    masked_content: str
    numops: Number


class ByKind(msgspec.Struct):
    put: Number
    move: Number
    remove: Number


class FullRow(ReleasedRow):
    sample_id: Number
    numops_by_op: ByKind


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the data set: a state, described by all sentences except the last, and one box."""

    number: int
    scenario_id: str
    description: str
    box: int
    contents: Contents
    num_ops: int
    by_kind: tuple[int, int, int]


def read_release(
    path: Path | str, password: str | None = None, member: str | None = None, version: str = "base"
) -> list[Example]:
    """The examples of one member of the ZIP. path may name it: boxes-dataset-v1.zip/folder/file.jsonl.

    The default is the file that the paper used, and its counts must equal the published ones. Raises
    InputError that names the row of any difference from the release.
    """
    archive, _, inner = str(path).partition(".zip/")
    member, archive = member or inner or MEMBER, f"{archive}.zip" if inner else archive
    text = read_member(place(archive), password or PASSWORD, member).decode("utf-8", errors="replace")
    lines = text.removesuffix("\n").split("\n") if text else []
    found = list(read_states((read_row(*line, version) for line in enumerate(lines, start=1)), version))
    if not found:
        raise InputError(f"{member} of {archive} has no rows. Use the file as released.")
    check_scenarios(found)
    if member == MEMBER:
        check_counts(found)
    return found


def read_member(path: Path, password: str, member: str) -> bytes:
    """The member, decrypted (ZipCrypto or AES) and decompressed. Raises InputError if this fails."""
    if not path.exists():
        raise InputError(f"no data set at {path}. Download boxes-dataset-v1.zip from its authors.")
    file = io.BytesIO(read_bytes(path, MOST_ZIP_BYTES))
    try:
        with pyzipper.AESZipFile(file) as archive:
            names = [name for name in archive.namelist() if f"/{name}".endswith(f"/{member}")]
            rows = [shortened(name) for name in archive.namelist() if name.endswith(".jsonl")]
            data = read_some(archive, names[0], password) if names else b""
    except Exception as error:  # the library raises many kinds of errors for a damaged file
        raise InputError(
            f"cannot read {member} of {path}: the password is wrong or the file damaged ({error}). "
            "Give its password, or download it again."
        ) from error
    if not names:
        listed = ", ".join(rows[:SHOWN]) + (f" and {len(rows) - SHOWN} more" if len(rows) > SHOWN else "")
        raise InputError(f"{path} has no member {member}. Choose one of: {listed or 'none has rows'}.")
    if len(data) > MOST_BYTES:
        raise InputError(
            f"{member} of {path} has more than {MOST_BYTES // MEGABYTE} MB. Use the file as released."
        )
    return data


def read_some(archive: pyzipper.AESZipFile, name: str, password: str) -> bytes:
    """A member, read up to one byte over the limit, because its stated size may be false."""
    with archive.open(name, pwd=password.encode(errors="surrogateescape")) as member:
        return member.read(MOST_BYTES + 1)


def read_row(number: int, line: str, version: str) -> Row:
    """One line of JSON. Raises InputError with its number if its parts contradict each other."""
    row = parse_json(line, FullRow, f"row {number} of the data set")
    target, masked = row.masked_content.replace(MASK, "").strip(), row.sentence_masked.replace(f" {MASK}", "")
    if row.sentence[:-1] != masked[:-1] + target:
        raise row_error(number, "sentence differs from sentence_masked with its masked_content")
    description, _, clause = row.sentence.removesuffix(".").rpartition(". ")
    try:
        box, contents = parse_clause(clause, version, stated=True)
    except ValueError as error:
        raise row_error(number, error) from error
    kinds = row.numops_by_op
    by_kind = (kinds.put, kinds.move, kinds.remove)
    return Row(number, f"r{row.sample_id:04d}", f"{description}.", box, contents, row.numops, by_kind)


def read_states(rows: Iterator[Row], version: str) -> Iterator[Example]:
    """Read one row per box of each state. Raises InputError that names the first wrong row."""
    for first in rows:
        try:
            scenario = replace(parse(first.description, version), id=first.scenario_id)
        except ValueError as error:
            raise row_error(first.number, error) from error
        [example] = examples(scenario, [len(scenario.operations)])
        state = [first, *islice(rows, len(example.queries) - 1)]
        for row, expected in zip(state, example.queries, strict=False):
            if (row.scenario_id, row.description) != (first.scenario_id, first.description):
                raise row_error(row.number, f"does not continue the state that row {first.number} begins")
            check_row(row, expected)
        if len(state) < len(example.queries):
            raise row_error(state[-1].number, f"is the last, but the state has {len(example.queries)} boxes")
        yield replace(example, description=first.description)  # as released


def check_row(row: Row, expected: Query) -> None:
    """Raises InputError unless a row is about the expected box and has the right contents."""
    for what, stated, true in (
        ("box", row.box, expected.box),
        ("contents", sorted(row.contents), sorted(expected.target)),
        ("numops", row.num_ops, expected.num_ops),
        ("numops_by_op", row.by_kind, expected.by_kind),
    ):
        if stated != true:
            raise row_error(row.number, f"has {what} {stated} instead of {true}")


def row_error(number: int, what: object) -> InputError:
    return InputError(f"row {number} of the data set: {what}. Use the file as released.")


def check_scenarios(found: Sequence[Example]) -> None:
    """Raises InputError unless the states of each sample are different states of one scenario."""
    by_length = sorted(found, key=lambda example: (example.scenario_id, example.num_operations))
    for _, group in groupby(by_length, key=lambda example: example.scenario_id):
        for shorter, longer in pairwise(group):
            if not longer.description.startswith(f"{shorter.description} "):
                raise InputError(
                    f"{longer.id} does not continue {shorter.id}, although both are sample "
                    f"{int(longer.scenario_id[1:])}. Use the file as released."
                )


def check_counts(found: Sequence[Example]) -> None:
    """Raises InputError unless the numbers of queries with 0, 1, ... operations equal the published ones."""
    counted = Counter(query.num_ops for example in found for query in example.queries)
    if counted != dict(enumerate(PUBLISHED_COUNTS)):
        counts = [counted[num_ops] for num_ops in range(max(counted) + 1)]
        raise InputError(
            f"the data set has {counts} rows with 0, 1, ... operations, but the released one has "
            f"{list(PUBLISHED_COUNTS)}. Use the file as released."
        )
