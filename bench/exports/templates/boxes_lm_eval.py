"""The boxes task in lm-evaluation-harness. entity-tracking-bench, installed beside it, reads the answers.

The metrics are accuracy_0..accuracy_7 by number of operations on the box, accuracy_1plus over all boxes with
at least one operation, and random guessing for each. An answer that cannot be read is wrong. It is never left
out.
"""

from collections.abc import Iterable
from pathlib import Path

from datasets import Dataset, DatasetDict

from bench.exports.boxes import buckets_of, read_jsonl, score

Counts = tuple[float, int]  # right answers, queries


def load(**unused: object) -> DatasetDict:
    return DatasetDict({"test": Dataset.from_list(read_jsonl(Path(__file__).parent / "boxes.jsonl"))})


def process_results(doc: dict, results: list[str]) -> dict[str, Counts]:
    """Right answers and queries of one example, by metric."""
    found: dict[str, Counts] = {}
    for box, (correct, _) in zip(doc["boxes"], score(doc, results[0]), strict=True):
        for bucket in buckets_of(box["num_ops"]):
            for name, value in ((f"accuracy_{bucket}", float(correct)), (f"random_{bucket}", box["random"])):
                total, n = found.get(name, (0.0, 0))
                found[name] = (total + value, n + 1)
    return found


def share(counts: Iterable[Counts]) -> float:
    """The share of queries with a right answer."""
    totals, queries = zip(*counts, strict=True)
    return sum(totals) / sum(queries)
