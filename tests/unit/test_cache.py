"""A cached value is made once, checked when it is read, and made again if it is damaged."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import pytest

from bench.cache import caches, kept


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BOXES_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Maker:
    """Counts its calls."""

    def __init__(self, data: bytes = b"made") -> None:
        self.data = data
        self.times = 0

    def __call__(self) -> bytes:
        self.times += 1
        return self.data


def test_it_is_made_once_a_key() -> None:
    make, other = Maker(), Maker(b"other")
    assert [kept("thing", ["a", 1], make), kept("thing", ["a", 1], make)] == [b"made", b"made"]
    assert kept("thing", ["a", 2], other) == b"other"
    assert (make.times, other.times) == (1, 1)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda data: data[:-1], id="cut"),
        pytest.param(lambda data: data[:40] + bytes([data[40] ^ 1]) + data[41:], id="a bit flipped"),
        pytest.param(lambda data: b"", id="empty"),
    ],
)
def test_a_damaged_file_is_made_again(damage, folder: Path) -> None:
    make = Maker(b"made of many bytes")
    kept("thing", "a", make)
    [path] = folder.iterdir()
    path.write_bytes(damage(path.read_bytes()))
    assert [kept("thing", "a", make), kept("thing", "a", make)] == [make.data] * 2
    assert make.times == 2


def test_a_folder_that_cannot_be_written_is_no_error(folder: Path) -> None:
    folder.write_text("in the way")
    make = Maker()
    assert [kept("thing", "a", make), kept("thing", "a", make)] == [b"made", b"made"]
    assert make.times == 2


def test_a_failure_leaves_nothing_behind(folder: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        kept("thing", "a", lambda: bytes(1 // 0))
    assert not folder.exists()
    assert kept("thing", "a", Maker()) == b"made"


def make_many(number: int) -> list[bytes]:
    return [kept("thing", key, lambda: b"the same" * 10_000) for key in range(20)]


def test_several_processes_may_write_at_once(folder: Path) -> None:
    with multiprocessing.get_context("fork").Pool(4) as pool:
        found = pool.map(make_many, range(4))
    assert found == [[b"the same" * 10_000] * 20] * 4
    assert len(list(folder.iterdir())) == 20 and caches() == folder


def test_what_is_not_asked_for_in_its_days_is_removed(folder: Path) -> None:
    for key in ("asked again", "forgotten"):
        kept("thing", key, Maker(), days=30)
    kept("other", "of no days", Maker())
    for path in folder.iterdir():
        os.utime(path, (0, 0))
    kept("thing", "asked again", Maker(), days=30)
    kept("thing", "new", Maker(), days=30)
    assert len([*folder.glob("thing-*")]) == 2 and len([*folder.glob("other-*")]) == 1
