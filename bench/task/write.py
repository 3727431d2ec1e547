"""Scenarios -> rows of the released format, split into train, dev and test: python -m bench generate."""

from __future__ import annotations

import io
import json
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import islice, product
from pathlib import Path
from random import Random
from typing import TextIO

import pyzipper

from bench.inputs import SEED, InputError, place, whole
from bench.outputs import replacing
from bench.records import Scenario, State
from bench.task.examples import DEFAULT_SEED, examples
from bench.task.wording import MASK, WORDINGS, name_objects
from bench.task.world import MAX_OBJECTS, SIZES, Size, generate
from bench.text import say

SHARES = {"train": 0.45, "dev": 0.1, "test": 0.45}  # shares of scenarios and of signatures
DEFAULT_SCENARIOS = 2200
MOST_OPERATIONS = 10_000
MAX_BOXES = 10  # the released scripts identify a box by one character


def check_size(size: Size) -> None:
    """Raises InputError if worlds of this size cannot be described."""
    if not 2 <= size.num_boxes <= MAX_BOXES or size.num_operations < 0:
        raise InputError(
            f"a world of {size.num_boxes} boxes and {size.num_operations} operations is impossible. "
            f"Use 2 to {MAX_BOXES} boxes and at least 0 operations."
        )
    if size.num_boxes * MAX_OBJECTS > len(size.nouns):
        raise InputError(
            f"{size.num_boxes} boxes may hold {size.num_boxes * MAX_OBJECTS} objects, but there are only "
            f"{len(size.nouns)} names. Use fewer boxes or more names."
        )


def rows(scenario: Scenario) -> Iterator[str]:
    """One line of JSON per state and box, in this order."""
    wording = WORDINGS[scenario.version]
    for example in examples(scenario):
        for query in example.queries:
            stem = wording.describe_box(query.box, ()).removesuffix("nothing")
            objects = name_objects(query.target)
            put, move, remove = query.by_kind
            yield json.dumps({
                "sentence": f"{example.description} {stem}{objects}.",
                "sentence_masked": f"{example.description} {stem}{MASK} .",
                "masked_content": f"{MASK} {objects}",
                "sample_id": int(scenario.id.rpartition("-")[2]),
                "numops": query.num_ops,
                "numops_by_op": {"move": move, "remove": remove, "put": put},
            })  # fmt: skip


def split_of(signature: tuple[int, ...], seed: int) -> str:
    """The split of all scenarios with this signature: the number of objects in each box at the start."""
    return Random(f"{seed}/{signature}").choices(list(SHARES), list(SHARES.values()))[0]


def of_split(split: str, seed: int, num_boxes: int) -> Callable[[State], bool]:
    """A test whether an initial state belongs to a split. Raises ValueError if no state can belong to it."""
    signatures = product(range(MAX_OBJECTS + 1), repeat=num_boxes)
    if not any(split_of(sizes, seed) == split for sizes in signatures):
        raise InputError(
            f"with seed {seed} no world of {num_boxes} boxes belongs to {split}. Use another seed."
        )
    return lambda initial: split_of(tuple(map(len, initial)), seed) == split


def split_sizes(scenarios: list[int]) -> dict[str, int]:
    """Sizes of the splits. One number is divided among them; three numbers are train, dev and test."""
    if len(scenarios) == len(SHARES):
        sizes = dict(zip(SHARES, scenarios, strict=True))
    elif len(scenarios) == 1:
        sizes = {split: int(scenarios[0] * share) for split, share in SHARES.items()}
        sizes["test"] = scenarios[0] - sizes["train"] - sizes["dev"]
    else:
        raise InputError(f"--scenarios takes one number or three (train, dev, test), not {len(scenarios)}.")
    if min(sizes.values()) < 0 or not any(sizes.values()):
        raise InputError(f"--scenarios {scenarios} gives no scenarios. Give numbers above 0.")
    return sizes


def write(splits: Mapping[str, Iterator[Scenario]], directory: Path, password: str | None) -> list[Path]:
    """Write one file per split, or one AES-encrypted ZIP of them. Rows are streamed. Returns the paths."""
    files = {split: directory / f"{split}-t5.jsonl" for split in splits}
    if password is None:
        for split, scenarios in splits.items():
            with replacing(files[split]) as fresh, fresh.open("w", encoding="utf-8") as file:
                write_rows(file, scenarios)
        return list(files.values())
    path = directory / "boxes-dataset.zip"
    with replacing(path) as fresh, encrypted(fresh, password) as archive:
        for split, scenarios in splits.items():
            member = archive.open(files[split].name, "w", force_zip64=True)
            with io.TextIOWrapper(member, encoding="utf-8") as file:
                write_rows(file, scenarios)
    return [path]


def encrypted(path: Path, password: str) -> pyzipper.AESZipFile:
    if not password:
        raise InputError("--password is empty. Give a word, or leave it out.")
    archive = pyzipper.AESZipFile(path, "w", pyzipper.ZIP_DEFLATED, encryption=pyzipper.WZ_AES)
    archive.setpassword(password.encode(errors="surrogateescape"))
    return archive


def write_rows(file: TextIO, scenarios: Iterator[Scenario]) -> None:
    for scenario in scenarios:
        file.writelines(f"{row}\n" for row in rows(scenario))


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write to")
    parser.add_argument("--seed", type=SEED, default=DEFAULT_SEED, help="(default: %(default)s)")
    parser.add_argument(
        "--scenarios",
        type=whole(0),
        nargs="+",
        default=[DEFAULT_SCENARIOS],
        metavar="N",
        help="one number, split 45:10:45, or three numbers for train, dev and test (default: 2200)",
    )
    parser.add_argument(
        "--version", choices=SIZES, default="base", help="version of the task (default: %(default)s)"
    )
    parser.add_argument("--boxes", type=whole(1), metavar="N", help="per world (default: the version's)")
    parser.add_argument(
        "--operations", type=whole(0, MOST_OPERATIONS), metavar="N", help="per world (default: the version's)"
    )
    parser.add_argument("--password", help="write one ZIP encrypted with this password")


def run(args: Namespace) -> int:
    """Write the splits and print their paths. Nothing is written if the options are impossible."""
    size = SIZES[args.version]
    asked = {"num_boxes": args.boxes, "num_operations": args.operations}
    size = replace(size, **{field: value for field, value in asked.items() if value is not None})
    check_size(size)
    splits = {}
    for split, number in split_sizes(args.scenarios).items():
        where = of_split(split, args.seed, size.num_boxes)
        found = generate(None, seed=args.seed, version=args.version, size=size, where=where)
        if number:
            splits[split] = islice(found, number)
    for path in write(splits, place(args.out), args.password):
        say(str(path))
    return 0
