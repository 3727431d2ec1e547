"""The released ZIP -> examples, every row of it checked against world.py.

Format and password: Kim & Schuster (2023), data set boxes-dataset-v1. It is read in memory: its authors
ask that uncompressed data stay out of repositories.
"""

from __future__ import annotations

import json
import lzma
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from pathlib import Path

import pyzipper

from bench.boxes.examples import PUBLISHED_COUNTS, query
from bench.boxes.parsing import parse, parse_clause
from bench.boxes.wording import MASK
from bench.boxes.world import replay
from bench.records import Contents, Example, Query

PASSWORD = "iamnotaLM"  # as the authors publish it
MEMBER = "few_shot_boxes_nso_exp2_max3/test-subsample-states-t5.jsonl"  # the file that the paper runs
UNREADABLE = (  # what a wrong password or a damaged file can raise; which of them is chance
    RuntimeError, NotImplementedError, zlib.error, lzma.LZMAError, pyzipper.BadZipFile, EOFError, OSError,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the data set: a state, as the description before its last sentence tells it, and one box."""

    number: int
    sample_id: int
    description: str
    box: int
    contents: Contents
    num_ops: int
    by_kind: tuple[int, int, int]


def read_release(
    path: Path | str, password: str | None = None, member: str | None = None, version: str = "base"
) -> list[Example]:
    """The examples of one member of the ZIP; path may name it, as in boxes-dataset-v1.zip/folder/file.jsonl.

    Without a member it is the file that the paper runs, whose counts must then be the published ones.
    Raises ValueError, with the row, for anything that is not as released.
    """
    archive, _, inner = str(path).partition(".zip/")
    member, archive = member or inner or MEMBER, f"{archive}.zip" if inner else archive
    lines = read_member(archive, password or PASSWORD, member).decode("utf-8", errors="replace").splitlines()
    rows = (read_row(number, line, version) for number, line in enumerate(lines, start=1))
    states = groupby(rows, key=lambda row: (row.sample_id, row.description))
    found = [read_state(list(state), version) for _, state in states]
    check_scenarios(found)
    if member == MEMBER:
        check_counts(found)
    return found


def read_member(path: str, password: str, member: str) -> bytes:
    """The member, decrypted (ZipCrypto or AES) and inflated. Raises ValueError if that cannot be done."""
    try:
        with pyzipper.AESZipFile(path) as archive:
            names = [name for name in archive.namelist() if f"/{name}".endswith(f"/{member}")]
            if names:
                return archive.read(names[0], pwd=password.encode())
            rows = [name for name in archive.namelist() if name.endswith(".jsonl")]
    except FileNotFoundError:
        raise ValueError(f"no data set at {path}. Download boxes-dataset-v1.zip from its authors.") from None
    except UNREADABLE as error:
        raise ValueError(
            f"cannot read {member} of {path}: the password is wrong or the file damaged ({error}). "
            "Give its password, or download it again."
        ) from error
    raise ValueError(f"{path} has no member {member}. Name one of: {', '.join(rows) or 'none has rows'}.")


def read_row(number: int, line: str, version: str) -> Row:
    """One line of JSON. Raises ValueError, with its number, unless its parts fit one another."""
    try:
        row = json.loads(line)
        sentence, target = row["sentence"], row["masked_content"].replace(MASK, "").strip()
        masked = row["sentence_masked"].replace(f" {MASK}", "")
        if sentence[:-1] != masked[:-1] + target:
            raise ValueError("sentence is not sentence_masked with its masked_content")
        description, _, clause = sentence.removesuffix(".").rpartition(". ")
        box, contents = parse_clause(clause, version, stated=True)
        kinds = row["numops_by_op"]
        by_kind = (kinds["put"], kinds["move"], kinds["remove"])
        return Row(number, row["sample_id"], f"{description}.", box, contents, row["numops"], by_kind)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise row_error(number, error if isinstance(error, ValueError) else repr(error)) from error


def read_state(rows: Sequence[Row], version: str) -> Example:
    """One state's rows. Raises ValueError unless they are what its operations lead to."""
    first = rows[0]
    try:
        scenario = replace(parse(first.description, version), id=f"r{first.sample_id:04d}")
    except (ValueError, TypeError) as error:
        raise row_error(first.number, error) from error
    states = tuple(replay(scenario.initial, scenario.operations))
    for place, row in enumerate(rows[: len(scenario.initial)]):
        if row.box != place:
            raise row_error(row.number, f"states box {row.box} in the place of box {place}")
    if len(rows) != len(scenario.initial):
        raise row_error(first.number, f"begins {len(rows)} rows for {len(scenario.initial)} boxes")
    queries = tuple(query(scenario, states, row.box) for row in rows)
    for row, expected in zip(rows, queries, strict=True):
        check_row(row, expected)
    return Example(scenario.id, len(scenario.operations), first.description, queries, version)


def check_row(row: Row, expected: Query) -> None:
    """Raises ValueError unless a row says of its box what the operations lead to."""
    for what, stated, true in (
        ("contents", sorted(row.contents), sorted(expected.target)),
        ("numops", row.num_ops, expected.num_ops),
        ("numops_by_op", row.by_kind, expected.by_kind),
    ):
        if stated != true:
            raise row_error(row.number, f"has {what} {stated}, but its operations lead to {true}")


def row_error(number: int, what: object) -> ValueError:
    return ValueError(f"row {number} of the data set: {what}. Use the file as released.")


def check_scenarios(found: Sequence[Example]) -> None:
    """Raises ValueError unless the states of each sample are different ones of one scenario."""
    by_length = sorted(found, key=lambda example: (example.scenario_id, example.num_operations))
    for _, group in groupby(by_length, key=lambda example: example.scenario_id):
        for shorter, longer in pairwise(group):
            if not longer.description.startswith(f"{shorter.description} "):
                raise ValueError(
                    f"{longer.id} does not go on from {shorter.id}, though both are sample "
                    f"{int(longer.scenario_id[1:])}. Use the file as released."
                )


def check_counts(found: Sequence[Example]) -> None:
    """Raises ValueError unless as many queries as published have 0, 1, ... operations."""
    counted = Counter(query.num_ops for example in found for query in example.queries)
    counts = [counted[num_ops] for num_ops in range(max(len(PUBLISHED_COUNTS), *counted, 0) + 1)]
    if counts != [*PUBLISHED_COUNTS, *[0] * (len(counts) - len(PUBLISHED_COUNTS))]:
        raise ValueError(
            f"the data set has {counts} rows with 0, 1, ... operations, but the released one has "
            f"{list(PUBLISHED_COUNTS)}. Use the file as released."
        )
