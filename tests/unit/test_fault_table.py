"""Each promise in the table of faults has a test."""

from __future__ import annotations

import re

import pytest

from bench import ROOT

TABLE = (ROOT / "reports" / "README.md").read_text(encoding="utf-8")
ROWS = [line.split(" | ") for line in TABLE.splitlines() if line.startswith("| ") and ".py" in line]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0].removeprefix("| "))
def test_each_fault_has_its_tests(row: list[str]) -> None:
    file = ""
    for named in re.findall(r"`([^`]+)`", row[-1]):
        file, _, test = named.rpartition("::") if "::" in named else (file, "", named)
        if named.endswith(".py"):
            file, test = named, ""
        texts = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob(file)]
        assert any(f"\ndef {test.removesuffix('...')}" in text for text in texts)


def test_the_table_is_as_long_as_the_list_of_faults() -> None:
    assert len(ROWS) >= 20
