"""A file or folder is written completely or not at all, whatever happens during the write."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from bench.inputs import InputError
from bench.outputs import check_replaceable, check_space, replacing, write_text


def test_a_file_is_replaced_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    for text in ("one\r\n", "two"):
        assert write_text(path, text).read_bytes() == text.encode()
    assert list(tmp_path.rglob("*")) == [path.parent, path]


def test_an_error_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = write_text(tmp_path / "file", "old")
    with pytest.raises(OSError, match="no space"), replacing(path) as fresh:
        fresh.write_text("half of it")
        raise OSError("no space")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    folder = tmp_path / "report"
    with pytest.raises(OSError, match="no space"), replacing(folder) as fresh:
        fresh.mkdir()
        (fresh / "a").write_text("a")
        raise OSError("no space")
    assert list(tmp_path.iterdir()) == []
    with replacing(folder) as fresh:
        fresh.mkdir()
        (fresh / "a").write_text("a")
        assert not folder.exists()
    assert (folder / "a").read_text() == "a"


def test_the_files_of_a_folder_that_is_there_are_replaced_one_by_one(tmp_path: Path) -> None:
    for text in ("old", "new"):
        with replacing(tmp_path / "report") as fresh:
            (fresh / "figures").mkdir(parents=True)
            (fresh / "figures" / text).write_text(text)
            (fresh / "a").write_text(text)
    assert (tmp_path / "report" / "a").read_text() == "new"
    assert sorted(path.name for path in (tmp_path / "report" / "figures").iterdir()) == ["new", "old"]


def test_a_pipe_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="pipe is not a file that can be replaced"):
        write_text(tmp_path / "pipe", "new")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_a_link_in_the_place_of_a_file_is_replaced_and_its_target_kept(tmp_path: Path) -> None:
    target = write_text(tmp_path / "target", "kept")
    (tmp_path / "file").symlink_to(target)
    write_text(tmp_path / "file", "new")
    assert target.read_text() == "kept" and not (tmp_path / "file").is_symlink()


def test_the_temporary_folder_is_the_users_own_and_has_a_random_name(tmp_path: Path) -> None:
    rooms = []
    for _ in range(2):
        with replacing(tmp_path / "file") as fresh:
            rooms.append(fresh.parent)
            assert stat.S_IMODE(fresh.parent.stat().st_mode) == 0o700
            fresh.write_text("x")
    assert rooms[0] != rooms[1] and str(os.getpid()) not in rooms[0].name.split("-")


def test_a_new_file_has_the_mode_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("x")
    assert write_text(tmp_path / "file", "x").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_what_a_kill_left_is_removed_a_day_later(tmp_path: Path) -> None:
    old, fresh, other = (tmp_path / name for name in (".writing-old", ".writing-fresh", "writing-mine"))
    for folder in (old, fresh, other):
        folder.mkdir()
        (folder / "new").write_text("half")
    os.utime(old, (0, 0))
    os.utime(other, (0, 0))
    write_text(tmp_path / "file", "x")
    assert not old.exists() and fresh.exists() and other.exists()


def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(InputError, match="is not a file that can be replaced"):
            check_replaceable(tmp_path / name)
    check_replaceable(tmp_path / "absent")
    check_replaceable(write_text(tmp_path / "file", "x"))


def test_too_little_space_is_said_before_anything_is_written(tmp_path: Path) -> None:
    check_space(tmp_path, 1)
    with pytest.raises(InputError, match=r"MB of free space, and \d+ MB may be needed. Free some"):
        check_space(tmp_path, 10**18)
