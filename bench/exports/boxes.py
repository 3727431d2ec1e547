"""Document, text -> which boxes are right. The tasks for other harnesses share this module.

It uses only the standard library, so another environment needs this package but none of its dependencies.
tasks.py writes the documents.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.scoring.answers import read_contents, statements


def score(doc: Mapping[str, Any], text: str) -> list[tuple[bool, str]]:
    """Whether each box is right, and its clause in the text."""
    stated = statements(text, doc["version"], len(doc["boxes"]))
    return [
        (
            clause is not None and read_contents(clause) == frozenset(box["target"]),
            "(not readable)" if clause is None else clause,
        )
        for box, clause in zip(doc["boxes"], stated, strict=True)
    ]


def buckets_of(num_ops: int) -> list[str]:
    """3 -> "3" and "1plus"."""
    return [str(num_ops), "1plus"] if num_ops else ["0"]


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
