"""Rows of the data set, anyone's predictions -> accuracy by number of operations, as the paper counts it.

The rule and its quirks are those of the released scripts (Kim, Schuster & Toshniwal 2024, branch
shtoshni/outlines: expand_results, then compute_metrics). Where those stop, this says why and counts the
row as wrong.
"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.answers import clauses, split_names
from bench.boxes.wording import MASK

EMPTY = ("nothing", "is empty")


@dataclass(frozen=True, slots=True)
class Gold:
    """One box of a state. target: "the map", "nothing"; in some folders "contains the map", "is empty"."""

    sentence: str
    target: str
    num_ops: int


@dataclass(frozen=True, slots=True)
class Tally:
    """How many of n were right."""

    correct: int
    n: int

    @property
    def accuracy(self) -> float | None:
        return self.correct / self.n if self.n else None


@dataclass(frozen=True, slots=True)
class Scored:
    """Accuracy by number of operations, over one and more, and of whole states; notes: what was amiss."""

    by_num_ops: dict[int, Tally]
    one_plus: Tally
    states: Tally
    notes: tuple[str, ...]


def score_predictions(gold_path: Path, predictions_path: Path) -> Scored:
    """Predictions are joined to the gold rows by their order: one a state, or one a box if they have targets.

    Raises ValueError if a file cannot be read, or a gold row cannot be understood.
    """
    gold, rows = read_gold(gold_path), read_rows(predictions_path)
    notes: list[str] = []
    num_boxes = count_boxes(gold[0].sentence)
    if len(gold) % num_boxes:
        raise ValueError(
            f"{gold_path} has {len(gold)} rows, which is no multiple of its {num_boxes} boxes. "
            "Give whole states, their rows in the order of the boxes."
        )
    judge = judge_boxes if any(isinstance(row, dict) and "target" in row for row in rows) else judge_states
    right = list(judge(gold, rows, num_boxes, notes))
    return tally(gold, right, num_boxes, notes)


def read_rows(path: Path) -> list[Any]:
    """Each line of JSON; what is not JSON stays as an error, since its place counts. Blank lines do not."""
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot read {path}: {error}. Give a file of JSON lines in UTF-8.") from error
    return [parse_line(line) for line in lines if line.strip()]


def parse_line(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        return ValueError(f"not JSON ({error})")


def read_gold(path: Path) -> list[Gold]:
    """The rows of the data set. Raises ValueError with the row that cannot be understood."""
    found = []
    for number, row in enumerate(read_rows(path), start=1):
        try:
            target = row["masked_content"].replace(MASK, "").strip()
            found.append(Gold(row["sentence"].strip(), target, int(row["numops"])))
        except (TypeError, KeyError, AttributeError, ValueError) as error:
            raise ValueError(
                f"{path}, row {number}: not a row of the data set ({error!r}). "
                "Rows have sentence, masked_content and numops."
            ) from error
    if not found:
        raise ValueError(f"{path} has no rows. Give the data set that the predictions answer.")
    return found


def count_boxes(sentence: str) -> int:
    """How many boxes the first sentence describes."""
    return sentence.partition(".")[0].count(", ") + 1


def judge_states(
    gold: Sequence[Gold], rows: Sequence[Any], num_boxes: int, notes: list[str]
) -> Iterator[bool]:
    """Whether each box is right, from one prediction a state."""
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
        notes.append(f"predictions after row {len(gold) // num_boxes}: left out, there is no such state")


def judge_boxes(
    gold: Sequence[Gold], rows: Sequence[Any], num_boxes: int, notes: list[str]
) -> Iterator[bool]:
    """Whether each box is right, from one prediction a box; boxes after the last one are not scored."""
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
        notes.append(f"{len(rows)} predictions for {len(gold)} rows: those beyond the shorter are left out")


def text_of(row: Any, key: str) -> str:
    """One field of a prediction. Raises ValueError if it is no text."""
    if isinstance(row, ValueError):
        raise row
    value = row.get(key) if isinstance(row, dict) else None
    if not isinstance(value, str):
        raise ValueError(f"it has no text under {key!r}")
    return value


def check_context(context: str, target: str, gold: Gold) -> None:
    """Raises ValueError unless input and target together are the gold row's sentence."""
    if "Description: " in context:
        context = context.strip('"').replace('""', '"').rpartition("Description: ")[2]
        context = context.replace(" Statement:", "").replace("\\nStatement:", "")
        context = context if context.endswith(" .") else context + " ."
    if context[:-1] + target.strip(".") != gold.sentence[:-1]:
        raise ValueError("its input and target are not those of the gold row in its place")


def is_right(stated: str, target: str) -> bool:
    """Whether a clause states the target: the same objects, in any order.

    Quirks kept: "nothing" and "is empty" are right only as the target has them, and of what is stated
    (not of the target) "the" is dropped within words too.
    """
    if not target.startswith(("contains ", *EMPTY[1:])):
        stated, target = stated.strip("."), target.strip(".")
    stated, target = stated.strip(), target.strip()
    if stated == target or stated.replace("the", "") == target.replace(" the", ""):
        return True
    if target in EMPTY or any(empty in stated for empty in EMPTY):
        return False
    names = {name.replace("the ", "").replace("the", "") for name in split_names(stated)}
    return names == {name.replace("the ", "") for name in target.replace("contains ", "").split(" and ")}


def tally(gold: Sequence[Gold], right: Sequence[bool], num_boxes: int, notes: Sequence[str]) -> Scored:
    """What was right, counted. A state is right when all of its boxes are."""
    groups: dict[int, list[bool]] = defaultdict(list)
    for box, correct in zip(gold, right, strict=False):
        groups[box.num_ops].append(correct)
    states = [right[start : start + num_boxes] for start in range(0, len(right) - num_boxes + 1, num_boxes)]
    return Scored(
        {num_ops: Tally(sum(group), len(group)) for num_ops, group in sorted(groups.items())},
        one_plus=Tally(
            sum(sum(group) for num_ops, group in groups.items() if num_ops >= 1),
            sum(len(group) for num_ops, group in groups.items() if num_ops >= 1),
        ),
        states=Tally(sum(map(all, states)), len(states)),
        notes=tuple(notes),
    )


def as_json(scored: Scored) -> str:
    """Accuracies in [0, 1], null where there is nothing to score."""

    def cell(counted: Tally) -> dict[str, float | int | None]:
        return {"accuracy": counted.accuracy, "n": counted.n}

    by_num_ops = {str(num_ops): cell(counted) for num_ops, counted in scored.by_num_ops.items()}
    return json.dumps({
        "by_num_ops": by_num_ops, "one_plus": cell(scored.one_plus), "states": cell(scored.states),
    })  # fmt: skip


def as_table(scored: Scored) -> str:
    """The same in Markdown, in percent."""
    rows = [(str(num_ops), counted) for num_ops, counted in scored.by_num_ops.items()]
    rows += [("1+", scored.one_plus), ("whole states", scored.states)]
    cells = [f"| {name} | {percent(counted)} | {counted.n} |" for name, counted in rows]
    return "\n".join(["| operations | accuracy (%) | n |", "|---|--:|--:|", *cells])


def percent(counted: Tally) -> str:
    return "-" if counted.accuracy is None else f"{100 * counted.accuracy:.2f}"


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--gold", type=Path, required=True, metavar="ROWS.jsonl", help="rows of the data set")
    parser.add_argument(
        "--predictions",
        type=Path,
        required=True,
        metavar="PREDICTIONS.jsonl",
        help='one row a state ("input", "prediction") or one a box ("target" too), in the order of --gold',
    )
    parser.add_argument("--json", action="store_true", help="print JSON, accuracies in [0, 1]")


def run(args: Namespace) -> int:
    """Print the accuracy on standard output, what was amiss on standard error."""
    scored = score_predictions(args.gold, args.predictions)
    for note in scored.notes:
        print(note, file=sys.stderr)
    print(as_json(scored) if args.json else as_table(scored))
    return 0
