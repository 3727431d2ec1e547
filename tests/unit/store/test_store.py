"""The store's promises: no row is lost, mixed up, or returned damaged."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.inputs import InputError
from bench.records import Completion
from bench.store import Run, Settings, Store, check_store, command
from bench.store.completions import digest
from bench.store.database import APPLICATION_ID, SCHEMA_VERSION, filesystem
from bench.task.prompts import Constraint

MODEL = {"weights": "1f" * 32, "adapter": None, "dtype": "float32", "attention": "sdpa", "chat": False}
REGEX = "Box 0 contains( [a-z]+)*"
SETTINGS = Settings(MODEL, Constraint(REGEX, 100), "speculative/1")
RUN = Run("night", "tiny-base", SETTINGS, {"torch": "2.13.0"}, {"forward_passes": 3})
PROMPTS = [f"Description: {number}" for number in range(40)]
KEYS = [SETTINGS.key(prompt) for prompt in PROMPTS]
ROWS = [(SETTINGS.key(prompt), Completion(f"answer {prompt}", "stop", 7, (1, 2, 3))) for prompt in PROMPTS]
PAGE = 4096


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "store.sqlite"


@pytest.fixture
def filled(path: Path) -> Path:
    with Store(path) as store:
        store.add(ROWS, RUN)
    return path


def edit(path: Path, *statement: object) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute(*statement)
        database.commit()


def flip(path: Path, offset: int, mask: int = 0xFF) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= mask
    path.write_bytes(data)


def command_line(*words: str) -> tuple[int, argparse.Namespace]:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args(words))


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param(replace(SETTINGS, model=MODEL | {"weights": "2e" * 32}), id="other weights"),
        pytest.param(replace(SETTINGS, model=MODEL | {"adapter": "1f" * 32}), id="an adapter"),
        pytest.param(replace(SETTINGS, model=MODEL | {"dtype": "bfloat16"}), id="other precision"),
        pytest.param(replace(SETTINGS, model=MODEL | {"chat": True}), id="asked as a chat"),
        pytest.param(replace(SETTINGS, constraint=Constraint(REGEX, 256)), id="longer answers"),
        pytest.param(replace(SETTINGS, constraint=Constraint("Box 0 .*", 100)), id="other regex"),
        pytest.param(replace(SETTINGS, engine="speculative/2"), id="newer engine"),
        pytest.param(replace(SETTINGS, engine="reference/1"), id="other engine"),
    ],
)
def test_a_completion_is_not_found_under_other_settings(changed: Settings, filled: Path) -> None:
    with Store(filled) as store:
        assert store.get([changed.key(prompt) for prompt in PROMPTS]) == {}


@given(st.text(), st.text())
def test_keys_differ_where_prompts_differ(one: str, other: str) -> None:
    assert (SETTINGS.key(one) == SETTINGS.key(other)) == (one == other)


def test_a_key_does_not_depend_on_the_order_of_the_fingerprint() -> None:
    backwards = dict(reversed(MODEL.items()))
    assert replace(SETTINGS, model=backwards).key("p") == SETTINGS.key("p")


def test_a_key_is_the_sha256_of_canonical_json() -> None:
    """A change here makes all stored rows of users unfindable. Raise KEY_VERSION with it."""
    said = '{"engine":"e","key_version":1,"max_new_tokens":1,"model.dtype":"float32","regex":"a"}'
    digest = sha256(said.encode()).hexdigest()
    settings = Settings({"dtype": "float32"}, Constraint("a", 1), "e")
    assert settings.key("p") == sha256(f'["{digest}","p"]'.encode()).hexdigest()


@pytest.mark.parametrize(
    "answer",
    [
        Completion("", "stop", 0),
        Completion("Box 0 contains the apple", "length", 1500, tuple(range(100))),
        Completion("naïve \N{SNOWMAN} \0 '; DROP TABLE completions; --", "stop", 1, (5,)),
    ],
    ids=["empty", "cut", "hostile text"],
)
@pytest.mark.parametrize("place", [":memory:", "file"])
def test_what_is_added_is_found(place: str, answer: Completion, path: Path) -> None:
    with Store(path if place == "file" else place) as store:
        assert store.add([("key", answer)], RUN) == 1
        assert store.get(["key", "absent"]) == {"key": answer}


def test_rows_outlive_the_process(filled: Path) -> None:
    with Store(filled) as store:
        assert store.get(KEYS) == dict(ROWS)
        assert store.notices == store.problems() == []


def test_any_number_of_keys_is_asked_for_at_once() -> None:
    with Store(":memory:") as store:
        assert store.get([str(number) for number in range(100_000)]) == {}


def test_another_answer_to_the_same_prompt_is_counted_and_the_first_is_kept(path: Path) -> None:
    other = Completion("another answer", "stop", 7)
    with Store(path) as store:
        store.add(ROWS, RUN)
        assert store.add([ROWS[0], (KEYS[1], other)], RUN) == 0
        assert store.get(KEYS) == dict(ROWS)
        assert re.match("1 completions were different", *store.problems())


def test_a_transaction_is_kept_whole_or_not_at_all(path: Path) -> None:
    with Store(path) as store:
        with pytest.raises(AttributeError):
            store.add([*ROWS, ("broken", None)], RUN)
        assert store.get(KEYS) == {}
        assert store.runs() == []


def test_a_run_is_recorded_beside_its_rows(path: Path) -> None:
    with Store(path) as store:
        store.add(ROWS[:10], RUN)
        store.add(ROWS[10:30], replace(RUN, counters={"forward_passes": 9}))
        store.add(ROWS[30:], replace(RUN, id="day"))
        night, day = store.runs(SETTINGS)
        assert (night["id"], night["rows"], night["counters"]) == ("night", 30, {"forward_passes": 9})
        assert (day["id"], day["rows"], day["metadata"]) == ("day", 10, {"torch": "2.13.0"})
        assert night["settings"]["model.dtype"] == "float32"
        assert store.runs(replace(SETTINGS, engine="reference/1")) == []


@pytest.mark.parametrize(
    ("statement", "value"),
    [
        ("UPDATE completions SET text = ? WHERE key = ?", "Box 0 contains the gold"),
        ("UPDATE completions SET finish_reason = ? WHERE key = ?", "length"),
        ("UPDATE completions SET token_ids = ? WHERE key = ?", "[1, 2, 3, 4]"),
        ("UPDATE completions SET prompt_tokens = ? WHERE key = ?", 8),
        ("UPDATE completions SET text = ? WHERE key = ?", b"\xff\xfe"),
        ("UPDATE completions SET digest = ? WHERE key = ?", "0" * 64),
        ("UPDATE completions SET key = ? WHERE key = ?", "f" * 64),
    ],
    ids=["text", "finish reason", "tokens", "prompt length", "not text", "digest", "key"],
)
def test_an_edited_row_is_never_served_and_can_be_computed_again(
    statement: str, value: object, filled: Path
) -> None:
    edit(filled, statement, (value, KEYS[0]))
    with Store(filled) as store:
        assert store.get([*KEYS, "f" * 64]) == dict(ROWS[1:])
        assert "1 damaged completions were set aside" in store.notices[0]
        assert store.add(ROWS[:1], RUN) == 1
        assert store.get(KEYS) == dict(ROWS)
    with Store(filled) as store:  # another process sees it too
        assert "1 damaged completions were set aside" in store.problems()[0]


def test_an_edited_row_does_not_stand_in_the_way_of_its_repair(filled: Path) -> None:
    edit(filled, "UPDATE completions SET text = 'x' WHERE key = ?", (KEYS[0],))
    with Store(filled) as store:
        assert store.add(ROWS[:1], RUN) == 1
        assert store.get(KEYS) == dict(ROWS)


def test_a_flipped_byte_in_a_text_costs_that_row_alone(filled: Path) -> None:
    flip(filled, filled.read_bytes().index(b"answer Description: 7"), 0x80)
    with Store(filled) as store:
        assert len(store.get(KEYS)) == len(KEYS) - 1


@pytest.mark.parametrize(
    "stride", [PAGE - 37, pytest.param(11, marks=[pytest.mark.nightly, pytest.mark.timeout(3600)])]
)
def test_a_flipped_byte_anywhere_never_serves_a_wrong_answer(stride: int, filled: Path) -> None:
    """Damage in the file's header, the pages' headers, or between: right answers, recovery, or a refusal."""
    whole = filled.read_bytes()
    refused = set()
    for offset in sorted({*range(100), *range(0, len(whole), PAGE), *range(100, len(whole), stride)}):
        filled.write_bytes(whole)
        flip(filled, offset)
        try:
            with Store(filled) as store:
                assert store.get(KEYS).items() <= dict(ROWS).items(), offset
                store.add(ROWS, RUN)
                assert store.get(KEYS) == dict(ROWS), offset
        except ValueError as error:
            assert re.search("is not a store of completions|has schema|readonly", str(error)), offset
            refused.add(offset)
        for rest in filled.parent.iterdir():
            rest.unlink()
    assert refused == {18, 61, 62, 63, 68, 69, 70, 71}  # marks: read-only, of which schema, and whose


def test_a_damaged_page_is_said_and_the_file_kept(filled: Path) -> None:
    size = filled.stat().st_size
    for page in range(6, size // PAGE):
        flip(filled, page * PAGE)
    with Store(filled) as store:
        assert re.search(r"was damaged: \d+ completions were recovered, .* kept as store", store.notices[0])
    [aside] = filled.parent.glob("*.damaged-*")
    assert aside.stat().st_size == size


def test_a_damaged_page_after_a_prune_costs_its_own_rows_only(path: Path) -> None:
    """Row numbers continue far above the number of rows that fit into a file of this size."""
    kept = replace(RUN, id="second", model="second")
    rows = [(f"kept {number}", Completion("y" * 100, "stop", 7)) for number in range(200)]
    with Store(path) as store:
        store.add([(f"old {number}", Completion("x" * 100, "stop", 7)) for number in range(3000)], RUN)
        store.add(rows, kept)
    command_line("prune", "--store", str(path), "--model", RUN.model)
    data = path.read_bytes()
    flip(path, data.index(b"y" * 100, len(data) // 2) // PAGE * PAGE)
    with Store(path) as store:
        [notice] = store.notices
        found = store.get([key for key, _ in rows])
    assert "was damaged" in notice
    assert found.items() <= dict(rows).items() and 150 < len(found) < 200


def test_a_damaged_store_in_use_is_left_where_it_is(filled: Path) -> None:
    with Store(filled):
        flip(filled, filled.stat().st_size - PAGE)
        with pytest.raises(ValueError, match="damaged, and another run is using it"):
            Store(filled)
    assert not list(filled.parent.glob("*.damaged-*"))


def newer(path: Path) -> None:
    Store(path).close()
    edit(path, f"PRAGMA user_version = {SCHEMA_VERSION + 1}")


def of_another_program(path: Path) -> None:
    edit(path, "CREATE TABLE people (name TEXT)")


@pytest.mark.parametrize(
    ("prepare", "error"),
    [
        (newer, "has schema 2, but this version reads only up to 1. Upgrade"),
        (of_another_program, "is not a store of completions and would"),
        (lambda path: path.write_text("model,accuracy\n" * 100), "is not a store of completions"),
        (lambda path: path.write_text("short"), "is not a store of completions"),
        (lambda path: path.mkdir(), "is a folder, not a store. Give a file"),
    ],
    ids=["newer", "another program's", "a table", "a short text", "a folder"],
)
def test_what_is_not_ours_is_refused_and_left_as_it_is(prepare: object, error: str, tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    prepare(path)
    before = path.is_file() and path.read_bytes()
    for use in (check_store, Store):
        with pytest.raises(ValueError, match=error):
            use(path)
    assert (path.is_file() and path.read_bytes()) == before


def test_a_file_in_the_place_of_a_folder_is_a_callers_mistake(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for use in (check_store, Store):
        with pytest.raises(ValueError, match="cannot open the store"):
            use(tmp_path / "file" / "store.sqlite")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="this system has no /proc")
@pytest.mark.timeout(10)
def test_a_folder_that_takes_no_file_is_refused_at_once() -> None:
    with pytest.raises(InputError, match="cannot open the store /proc/none.sqlite: No such file"):
        Store("/proc/none.sqlite")


def test_a_check_makes_no_store(path: Path) -> None:
    check_store(path)
    assert not path.parent.exists()


def test_an_empty_file_becomes_a_store(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    path.touch()
    with Store(path) as store:
        assert store.add(ROWS, RUN) == len(ROWS)
    assert int.from_bytes(path.read_bytes()[68:72]) == APPLICATION_ID


MOUNTS = """\
/dev/vda1 / ext4 rw,relatime 0 0
server:/export /home nfs4 rw,vers=4.2 0 0
/dev/vdb1 /home/me/local\\040disk xfs rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/store.sqlite", "ext4"),
        ("/home/me/store.sqlite", "nfs4"),
        ("/home/me/local disk/store.sqlite", "xfs"),
        ("/homely/store.sqlite", "ext4"),
    ],
)
def test_the_innermost_mount_names_the_file_system(path: str, kind: str) -> None:
    assert filesystem(Path(path), MOUNTS) == kind
    assert filesystem(Path(path), "") == ""


@pytest.mark.parametrize(("kind", "journal"), [("nfs4", "delete"), ("ext4", "wal")])
def test_a_network_file_system_is_said_and_given_a_safe_journal(
    kind: str, journal: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.store.database.read_mounts", lambda: f"any / {kind} rw 0 0")
    with Store(path) as store:
        assert store.read("PRAGMA journal_mode") == [(journal,)]
        assert any("network file system" in notice for notice in store.notices) == (kind == "nfs4")
        assert store.add(ROWS, RUN) == len(ROWS)


def test_every_commit_waits_for_the_disk(path: Path) -> None:
    with Store(path) as store:
        assert store.read("PRAGMA synchronous") == [(2,)]  # FULL


def add_many(path: Path, worker: int, rows: int, batch: int) -> None:
    with Store(path) as store:
        for start in range(0, rows, batch):
            keys = [f"{worker}-{number}" for number in range(start, start + batch)]
            store.add([(key, Completion(key, "stop", 1)) for key in keys], RUN)


@pytest.mark.parametrize(
    "rows", [400, pytest.param(50_000, marks=pytest.mark.nightly)], ids=["few rows", "fifty thousand rows"]
)
def test_eight_writers_lose_nothing_and_are_never_locked_out(rows: int, path: Path) -> None:
    fork = multiprocessing.get_context("fork")
    workers = [fork.Process(target=add_many, args=(path, worker, rows // 8, 10)) for worker in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 8
    with Store(path) as store:
        assert store.read("SELECT count(*), count(DISTINCT key) FROM completions") == [(rows, rows)]


def test_ls_names_the_runs_without_steering_the_terminal(path: Path, capsys: pytest.CaptureFixture) -> None:
    with Store(path) as store:
        store.add(ROWS, replace(RUN, model="tiny\x1b[31m-base"))
    assert command_line("ls", "--store", str(path)) == 0
    printed = capsys.readouterr().out
    assert re.search(r"40 .* night .* tiny\N{REPLACEMENT CHARACTER}\[31m-base, speculative/1", printed)


def test_verify_fails_once_for_a_damaged_row(filled: Path, capsys: pytest.CaptureFixture) -> None:
    edit(filled, "UPDATE completions SET text = 'x' WHERE key = ?", (KEYS[0],))
    assert [command_line("verify", "--store", str(filled)) for _ in range(2)] == [1, 0]
    assert "39 completions match their digests" in capsys.readouterr().out


def test_export_writes_every_intact_row_in_a_fixed_order(filled: Path, tmp_path: Path) -> None:
    edit(filled, "UPDATE completions SET text = 'x' WHERE key = ?", (KEYS[0],))
    for name in ("one.jsonl", "two.jsonl"):
        command_line("export", "--store", str(filled), "--output", str(tmp_path / name))
    one, two = ((tmp_path / name).read_text() for name in ("one.jsonl", "two.jsonl"))
    exported = [json.loads(line) for line in one.splitlines()]
    assert {row["key"]: row["text"] for row in exported} == {key: answer.text for key, answer in ROWS[1:]}
    assert exported[0]["model"] == "tiny-base"
    assert one == two


def test_export_to_parquet_needs_pyarrow(
    filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    output = tmp_path / "rows.parquet"
    with pytest.raises(ValueError, match="Parquet needs pyarrow"):
        command_line("export", "--store", str(filled), "--format", "parquet", "--output", str(output))
    assert not output.exists()


def test_export_to_parquet_is_read_back(filled: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    output = tmp_path / "rows.parquet"
    command_line("export", "--store", str(filled), "--format", "parquet", "--output", str(output))
    assert {row["key"]: row["token_ids"] for row in parquet.read_table(output).to_pylist()} == {
        key: [1, 2, 3] for key in KEYS
    }


@pytest.mark.parametrize(
    "place", ["store.sqlite", "../deep/store.sqlite", "store.sqlite-wal", "../deep/store.sqlite-shm"]
)
def test_export_onto_a_stores_own_files_is_refused(place: str, filled: Path) -> None:
    with pytest.raises(ValueError, match="belongs to the store"):
        command_line("export", "--store", str(filled), "--output", str(filled.parent / place))
    with Store(filled) as store:
        assert store.get(KEYS) == dict(ROWS)


def link_to_store(place: Path, filled: Path) -> None:
    place.symlink_to(filled)


def other_store(place: Path, filled: Path) -> None:
    place.write_bytes(filled.read_bytes())


def written_state(place: Path) -> tuple[int, ...]:
    """What writing changes. Reading changes only the time of access, which is left out."""
    status = place.lstat()
    return status.st_ino, status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns


@pytest.mark.parametrize(
    ("make", "why"),
    [
        pytest.param(link_to_store, "belongs to the store", id="a link to it"),
        pytest.param(other_store, "is a store that would be lost", id="another store"),
        pytest.param(lambda place, filled: os.mkfifo(place), "is not a file that can be", id="a pipe"),
        pytest.param(lambda place, filled: place.mkdir(), "is not a file that can be", id="a folder"),
        pytest.param(
            lambda place, filled: place.symlink_to("/dev/null"), "is not a file that can be", id="a device"
        ),
    ],
)
def test_export_replaces_nothing_but_a_file(make: Callable, why: str, filled: Path, tmp_path: Path) -> None:
    place = tmp_path / "output"
    make(place, filled)
    before = written_state(place)
    with pytest.raises(ValueError, match=why):
        command_line("export", "--store", str(filled), "--output", str(place))
    assert written_state(place) == before
    with Store(filled) as store:
        assert store.get(KEYS) == dict(ROWS)


def forge(path: Path, token_ids: str, finish_reason: str = "stop", prompt_tokens: int = 1) -> None:
    """A forged row with a matching digest."""
    contents = ("forged", "text", finish_reason, prompt_tokens, token_ids)
    row = (*contents, digest(contents))
    edit(path, "INSERT INTO completions (key, text, finish_reason, prompt_tokens, token_ids, digest, run) "
         "VALUES (?, ?, ?, ?, ?, ?, 1)", row)  # fmt: skip


@pytest.mark.parametrize(
    "row",
    [
        ("[1.5]",), ("[-1]",), ('["a"]',), ("{}",), ("null",), ("[" * 100_000,), ("[99999999999999999999]",),
        ("[]", "cut"), ("[]", "stop", -5),
    ],
    ids=["float", "below zero", "text", "table", "null", "deep", "huge", "finish reason", "prompt tokens"],
)  # fmt: skip
def test_a_forged_row_is_damaged_however_good_its_digest(row: tuple, filled: Path, tmp_path: Path) -> None:
    forge(filled, *row)
    command_line("export", "--store", str(filled), "--output", str(tmp_path / "rows.jsonl"))
    assert len((tmp_path / "rows.jsonl").read_text().splitlines()) == len(ROWS)
    command_line("merge", "--store", str(tmp_path / "target"), str(filled))
    with Store(tmp_path / "target") as store:
        assert store.get([*KEYS, "forged"]) == dict(ROWS)
    with Store(filled) as store:
        assert store.get([*KEYS, "forged"]) == dict(ROWS) and len(store.problems()) == 1


@pytest.mark.parametrize("value", ["", "{", "[]", "[" * 100_000, '{"engine": 1}', b"\xff"])
def test_what_a_run_recorded_may_be_damaged(
    value: object, filled: Path, capsys: pytest.CaptureFixture
) -> None:
    edit(filled, "UPDATE runs SET settings = ?, model = ?", (value, value))
    for action in ("ls", "why-miss", "verify"):
        assert command_line(action, "--store", str(filled)) == 0
    assert "the last run of" in capsys.readouterr().out


def read_only_mount(folder: Path, command: list[str]) -> list[str]:
    """The command, in its own mount namespace with a read-only folder."""
    namespace = ["unshare", "--map-root-user", "--mount"]
    if not shutil.which("unshare") or subprocess.run([*namespace, "true"], capture_output=True).returncode:
        pytest.skip("this system lets no user mount a file system")
    mount = f'mount --bind {folder} {folder} && mount -o remount,ro,bind {folder} && exec "$@"'
    return [*namespace, "sh", "-c", mount, "sh", *command]


ON_A_READ_ONLY_MOUNT = """
import sys
from bench.commands import main
store, out = sys.argv[1:]
for words in (["ls"], ["why-miss"], ["export", "--output", out + "/rows.jsonl"]):
    assert main(["store", *words, "--store", store]) == 0
assert main(["store", "merge", "--store", out + "/merged.sqlite", store]) == 0
assert main(["store", "verify", "--store", store]) == 4
"""


def test_a_store_on_a_read_only_mount_is_listed_exported_and_merged_from(
    filled: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", ON_A_READ_ONLY_MOUNT, str(filled), str(tmp_path)]
    told = subprocess.run(read_only_mount(filled.parent, command), capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    assert len((tmp_path / "rows.jsonl").read_text().splitlines()) == len(ROWS)
    with Store(tmp_path / "merged.sqlite") as store:
        assert store.get(KEYS) == dict(ROWS)
    assert told.stderr.count("\n") == 1 and "Choose " in told.stderr


def test_reading_a_store_changes_no_byte_of_it(filled: Path, tmp_path: Path) -> None:
    before = filled.read_bytes()
    command_line("ls", "--store", str(filled))
    command_line("export", "--store", str(filled), "--output", str(tmp_path / "rows.jsonl"))
    assert filled.read_bytes() == before


def test_a_damaged_store_is_not_merged_from_before_it_is_verified(filled: Path, tmp_path: Path) -> None:
    flip(filled, filled.stat().st_size - PAGE)
    with pytest.raises(InputError, match="is damaged. Run python -m bench store verify"):
        command_line("merge", "--store", str(tmp_path / "target"), str(filled))


@pytest.mark.parametrize(
    "make",
    [os.mkfifo, lambda path: path.symlink_to(path), lambda path: path.symlink_to("/dev/zero")],
    ids=["a pipe", "a loop of links", "a device"],
)
def test_what_is_no_file_is_no_store(make: Callable[[Path], object], tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    make(path)
    for use in (check_store, Store, partial(Store, readonly=True)):
        with pytest.raises(InputError, match="is not a file, so not a store|is not a path: "):
            use(path)


def test_a_link_to_a_store_is_that_store(filled: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.sqlite"
    link.symlink_to(filled)
    with Store(link) as one, Store(filled) as other:
        assert one.get(KEYS) == other.get(KEYS) == dict(ROWS)
    assert [path.name for path in tmp_path.iterdir() if "link" in path.name] == ["link.sqlite"]


def test_merging_shards_gives_all_rows_whatever_the_order(tmp_path: Path) -> None:
    for name, rows in {"a": ROWS[:25], "b": ROWS[15:]}.items():
        with Store(tmp_path / name) as store:
            store.add(rows, replace(RUN, id=name))
    for target, others in {"ab": "ab", "ba": "ba", "aab": "aab"}.items():
        command_line("merge", "--store", str(tmp_path / target), *(str(tmp_path / other) for other in others))
        with Store(tmp_path / target) as store:
            assert store.get(KEYS) == dict(ROWS)
            assert sum(run["rows"] for run in store.runs()) == len(ROWS)
            assert store.problems() == []


def test_prune_deletes_the_rows_of_the_chosen_runs_only(filled: Path) -> None:
    other = replace(SETTINGS, engine="reference/1")
    with Store(filled) as store:
        store.add([(other.key("p"), Completion("kept", "stop", 1))], Run("night", "other", other))
    command_line("prune", "--store", str(filled), "--before", "2001-01-01")
    with Store(filled) as store:
        assert store.get(KEYS) == dict(ROWS)
    command_line("prune", "--store", str(filled), "--model", "tiny-base")
    with Store(filled) as store:
        assert store.get(KEYS) == {}
        assert len(store.get([other.key("p")])) == 1
        assert [run["model"] for run in store.runs()] == ["other"]


def test_prune_forgets_problems_and_no_row(filled: Path) -> None:
    edit(filled, "UPDATE completions SET text = 'x' WHERE key = ?", (KEYS[0],))
    with Store(filled) as store:
        store.add([*ROWS[:1], (KEYS[1], Completion("another answer", "stop", 7))], RUN)
        assert len(store.problems()) == 2
    command_line("prune", "--store", str(filled), "--problems")
    with Store(filled) as store:
        assert store.problems() == []
        assert store.get(KEYS) == dict(ROWS)


def test_prune_without_a_choice_deletes_nothing(filled: Path) -> None:
    with pytest.raises(ValueError, match="Choose them"):
        command_line("prune", "--store", str(filled))


@pytest.mark.parametrize(
    ("later", "said"),
    [
        (replace(SETTINGS, model=MODEL | {"dtype": "bfloat16"}), '  model.dtype: "float32" -> "bfloat16"'),
        (replace(SETTINGS, constraint=Constraint(REGEX, 256)), "  max_new_tokens: 100 -> 256"),
        (replace(SETTINGS, engine="speculative/2"), '  engine: "speculative/1" -> "speculative/2"'),
        (SETTINGS, "its settings equal those of an earlier run"),
    ],
    ids=["precision", "length", "engine", "prompts"],
)
def test_why_miss_names_what_differs(
    later: Settings, said: str, filled: Path, capsys: pytest.CaptureFixture
) -> None:
    with Store(filled) as store:
        store.add([(later.key("new"), Completion("x", "stop", 1))], replace(RUN, id="day", settings=later))
    command_line("why-miss", "--store", str(filled))
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith(said)
    assert len([line for line in lines if line.startswith("  ")]) <= 1


def test_a_command_on_no_store_makes_none(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no store at"):
        command_line("ls", "--store", str(tmp_path / "absent.sqlite"))
    assert not list(tmp_path.iterdir())
