"""python -m bench pin writes the cache's commits into the suite file and changes nothing else."""

from __future__ import annotations

from pathlib import Path

import huggingface_hub
import pytest

from bench.__main__ import main
from bench.models.suites import load_suite

COMMIT = "0123456789" * 4
SUITE = """# a comment that stays
name = "mine"
models = [
  { name = "here", hub = "org/here", revision = "main", family = "f" },  # and this one
  { name = "away", hub = "org/away", revision = "main" },
  { name = "fixed", hub = "org/fixed", revision = "%s" },
]
""" % ("f" * 40)  # fmt: skip
BLOCKS = """name = "mine"
[[models]]
name = "here"
hub = "org/here"
[[models]]
name = "away"
hub = "org/away"
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = tmp_path / "hub" / "models--org--here"
    (repository / "snapshots" / COMMIT).mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(SUITE, SUITE.replace('"main"', f'"{COMMIT}"', 1), id="tables in a line"),
        pytest.param(
            BLOCKS,
            BLOCKS.replace('"org/here"\n', f'"org/here"\nrevision = "{COMMIT}"\n'),
            id="blocks without a revision",
        ),
    ],
)
def test_pin_writes_the_commits_that_the_cache_has(
    before: str, after: str, cache, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(before, encoding="utf-8")
    assert main(["pin", str(path)]) == 0
    assert path.read_text(encoding="utf-8") == after
    said = capsys.readouterr().out
    assert f"here: {COMMIT}" in said
    assert "away: not pinned, because it is not downloaded. Run hf download org/away" in said
    pinned = {name for name, entry in load_suite(str(path)).models.items() if entry.pinned}
    assert "here" in pinned and "away" not in pinned
