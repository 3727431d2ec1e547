"""Rows of the data set, predictions made elsewhere -> accuracy by number of operations, as in the paper.

The rule and its quirks are those of the released scripts (Kim, Schuster & Toshniwal 2024, branch
shtoshni/outlines: expand_results, then compute_metrics). The scripts stop at a row that they cannot read.
This module names such a row and counts it as wrong.
"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.inputs import InputError, parse_json, place, read_text
from bench.scoring.answers import clauses, split_names
from bench.task.release import MOST_BYTES, ReleasedRow
from bench.task.wording import MASK
from bench.text import printable

EMPTY = ("nothing", "is empty")
WITH_VERB = ("contains ", "is empty")  # how targets begin in the folders for fine-tuned models


@dataclass(frozen=True, slots=True)
class Gold:
    """One box of a state. target: "the map" or "nothing", or WITH_VERB."""

    sentence: str
    target: str
    num_ops: int


def score_predictions(gold_path: Path, predictions_path: Path) -> tuple[dict[str, Any], list[str]]:
    """The accuracies, as --json prints them, and a note on each row that could not be read.

    Predictions match the gold rows by their order: one per state, or one per box if they have targets.
    Raises ValueError if a file or a gold row cannot be read.
    """
    notes: list[str] = []
    gold = read_gold(gold_path, notes)
    predictions = [parse_prediction(line) for line in read_lines(predictions_path)]
    num_boxes = gold[0].sentence.partition(".")[0].count(", ") + 1  # boxes in the description
    by_box = any(isinstance(row, dict) and "target" in row for row in predictions)
    if len(gold) % num_boxes and not by_box:
        raise InputError(
            f"{gold_path} has {len(gold)} rows, which is not a multiple of its {num_boxes} boxes. "
            "Give complete states, with rows in the order of the boxes."
        )
    judge = judge_boxes if by_box else judge_states
    return tally(gold, list(judge(gold, predictions, num_boxes, notes)), num_boxes), notes


def read_lines(path: Path) -> list[str]:
    """The non-blank lines of a JSON lines file."""
    return [line for line in read_text(place(path), MOST_BYTES).split("\n") if line.strip()]


def parse_prediction(line: str) -> Any:
    """Parse a line. Invalid JSON becomes an error in the list, because the place of a row matters."""
    try:
        return parse_json(line, object, "not JSON")
    except InputError as error:
        return error


def read_gold(path: Path, notes: list[str]) -> list[Gold]:
    """The rows of the data set. Raises InputError that names the first invalid row."""
    found = []
    for number, line in enumerate(read_lines(path), start=1):
        row = parse_json(line, ReleasedRow, f"{path}, row {number}: not a row of the data set")
        target = row.masked_content.replace(MASK, "").strip()
        if row.sentence[:-1] != row.sentence_masked.replace(f" {MASK}", "")[:-1] + target:
            notes.append(f"gold row {number}: sentence differs from sentence_masked with its masked_content")
        found.append(Gold(row.sentence, target, row.numops))
    if not found:
        raise InputError(f"{path} has no rows. Give the data set that the predictions answer.")
    return found


def judge_states(
    gold: Sequence[Gold], rows: Sequence[Any], num_boxes: int, notes: list[str]
) -> Iterator[bool]:
    """Whether each box is right, from one prediction per state."""
    for state in range(len(gold) // num_boxes):
        said = rows[state] if state < len(rows) else ValueError("it is missing")
        stated: list[str | None] = [None] * num_boxes
        try:
            stated = clauses(text_of(said, "prediction"), num_boxes)
        except ValueError as error:
            notes.append(f"prediction {state + 1}: {error}; its {num_boxes} boxes count as wrong")
        for clause, box in zip(stated, gold[state * num_boxes :], strict=False):
            yield clause is not None and is_right(clause, box.target)
    if len(rows) * num_boxes > len(gold):
        notes.append(f"predictions after row {len(gold) // num_boxes} are ignored: there is no such state")


def judge_boxes(
    gold: Sequence[Gold], rows: Sequence[Any], num_boxes: int, notes: list[str]
) -> Iterator[bool]:
    """Whether each box is right, from one prediction per box. Boxes after the last one are not scored."""
    for number, (said, box) in enumerate(zip(rows, gold, strict=False), start=1):
        right = False
        try:
            clause = text_of(said, "prediction")
            check_context(text_of(said, "input"), text_of(said, "target"), box)
            right = is_right(clause, box.target)
        except ValueError as error:
            notes.append(f"prediction {number}: {error}; it counts as wrong")
        yield right
    if len(rows) != len(gold):
        notes.append(f"{len(rows)} predictions for {len(gold)} rows: the rows without a partner are ignored")


def text_of(row: Any, key: str) -> str:
    """One field of a prediction. Raises ValueError if it is not text."""
    if isinstance(row, ValueError):
        raise row
    value = row.get(key) if isinstance(row, dict) else None
    if not isinstance(value, str):
        raise InputError(f"it has no text under {key!r}")
    return value


def check_context(context: str, target: str, gold: Gold) -> None:
    """Raises ValueError unless input and target together are the gold row's sentence."""
    if "Description: " in context:
        context = context.strip('"').replace('""', '"').rpartition("Description: ")[2]
        context = context.replace(" Statement:", "").replace("\\nStatement:", "")
        context = context if context.endswith(" .") else context + " ."
    if context[:-1] + target.strip(".") != gold.sentence[:-1]:
        raise InputError("its input and target differ from the gold row in the same place")


def is_right(stated: str, target: str) -> bool:
    """Whether a clause states the target: the same objects, in any order.

    Two quirks are kept. "nothing" and "is empty" must match the target's own wording. "the" is removed from
    the stated text even inside words, but not from the target.
    """
    if not target.startswith(WITH_VERB):
        stated, target = stated.strip("."), target.strip(".")
    stated, target = stated.strip(), target.strip()
    if stated == target or stated.replace("the", "") == target.replace(" the", ""):
        return True
    if target in EMPTY or any(empty in stated for empty in EMPTY):
        return False
    names = {name.replace("the ", "").replace("the", "") for name in split_names(stated)}
    return names == {name.replace("the ", "") for name in target.replace("contains ", "").split(" and ")}


def tally(gold: Sequence[Gold], right: Sequence[bool], num_boxes: int) -> dict[str, Any]:
    """Accuracies in [0, 1], or None without queries. A state is right if all its boxes are right."""
    by_num_ops: dict[int, list[bool]] = defaultdict(list)
    for box, correct in zip(gold, right, strict=False):
        by_num_ops[box.num_ops].append(correct)
    one_plus = [correct for num_ops, group in by_num_ops.items() if num_ops >= 1 for correct in group]
    whole = range(0, len(right) - num_boxes + 1, num_boxes)
    return {
        "by_num_ops": {str(num_ops): accuracy(group) for num_ops, group in sorted(by_num_ops.items())},
        "one_plus": accuracy(one_plus),
        "states": accuracy([all(right[start : start + num_boxes]) for start in whole]),
    }


def accuracy(right: Sequence[bool]) -> dict[str, float | int | None]:
    return {"accuracy": sum(right) / len(right) if right else None, "n": len(right)}


def as_table(found: Mapping[str, Any]) -> str:
    """The same in Markdown, in percent."""
    groups = found["by_num_ops"] | {"1+": found["one_plus"], "whole states": found["states"]}
    cells = [
        [name, "-" if group["accuracy"] is None else f"{100 * group['accuracy']:.2f}", group["n"]]
        for name, group in groups.items()
    ]
    from tabulate import tabulate

    return tabulate(cells, ["operations", "accuracy (%)", "n"], tablefmt="github", disable_numparse=True)


def add_arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("--gold", type=Path, required=True, metavar="ROWS.jsonl", help="rows of the data set")
    add("--predictions", type=Path, required=True, metavar="PREDICTIONS.jsonl",
        help='a row per state ("input", "prediction") or per box (also "target"), in the order of --gold',
    )  # fmt: skip
    add("--json", action="store_true", help="print JSON, accuracies in [0, 1]")


def run(args: Namespace) -> int:
    """Print the accuracy on standard output, and the notes on standard error."""
    found, notes = score_predictions(args.gold, args.predictions)
    for note in notes:
        print(printable(note), file=sys.stderr)
    print(json.dumps(found) if args.json else as_table(found))
    return 0
