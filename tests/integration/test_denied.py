"""What a system may deny, made to happen: permissions, room for a report, a clock that only goes forward."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from bench import DATA, ROOT
from bench.inputs import MISTAKE
from bench.records import Completion, ModelEntry
from bench.store import Run, Settings, Store
from bench.task.prompts import Constraint

pytest_plugins = ["pytester"]

RUN = Run("night", "one", Settings({}, Constraint(".*", 100), "reference/1"))
MODELS = 'name = "random"\n[[models]]\nname = "one"\npath = "one"\n[[models]]\nname = "two"\npath = "two"\n'
PAIR = '[[pairs]]\nhypothesis = "code"\nbase = "one"\nvariant = "two"\n'
# (what is denied, its mode, command, what the line says)
DENIED = [
    ("store.sqlite", 0o000, "store ls --store store.sqlite", "cannot open the store store.sqlite"),
    ("store.sqlite", 0o000, "store merge --store new.sqlite store.sqlite", "cannot open the store"),
    ("store.sqlite", 0o000, "power --store store.sqlite", "cannot open the store store.sqlite"),
    ("folder", 0o000, "store ls --store folder/store.sqlite", "folder/store.sqlite is not a path"),
    ("folder", 0o555, "store prune --problems --store folder/store.sqlite", "folder/store.sqlite"),
    ("folder", 0o555, "probes --pairs=1 --store folder/new.sqlite", "cannot open the store"),
    ("folder", 0o555, "store export --store store.sqlite --output folder/x", "cannot write folder/x"),
    ("folder", 0o555, "generate --scenarios=3 --out folder", "folder/.writing-"),
    ("folder", 0o000, "generate --scenarios=3 --out folder/deeper", "folder/deeper is not a path"),
    ("folder", 0o555, "export-task inspect --out folder", "folder/"),
    ("folder", 0o555, "baseline-update good.json --to folder/baseline.json", "folder/"),
    ("suite.toml", 0o000, "score --store new.sqlite --suite suite.toml", "suite.toml cannot be read"),
    ("suite.toml", 0o000, "pin suite.toml", "suite.toml cannot be read"),
    ("rows.jsonl", 0o000, "score-predictions --gold rows.jsonl --predictions x", "rows.jsonl cannot be read"),
    ("set.zip", 0o000, "baseline --dataset release:set.zip", "set.zip cannot be read"),
    ("good.json", 0o000, "baseline-update good.json --to new.json", "good.json cannot be read"),
    ("run/results.json", 0o000, "report run --store store.sqlite", "results.json cannot be read"),
    ("run", 0o000, "report run --store store.sqlite", "run"),
    ("one", 0o000, "probes --pairs=1 --suite suite.toml", "may not be read by this user"),
    ("one/config.json", 0o000, "probes --pairs=1 --suite suite.toml", "may not be read by this user"),
    ("one/model.safetensors", 0o000, "probes --pairs=1 --suite suite.toml", "may not be read by this user"),
    ("one/tokenizer.json", 0o000, "probes --pairs=1 --suite suite.toml", "may not be read by this user"),
]  # fmt: skip
ALL_AT_ONCE = """
import contextlib, io, json, os, sys
from bench.commands import main

found = []
for path, mode, command, _ in json.load(sys.stdin):
    before, said, status = os.stat(path).st_mode, io.StringIO(), None
    os.chmod(path, mode)
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        with contextlib.suppress(SystemExit):
            status = main(command.split())
    os.chmod(path, before)
    found.append([status, said.getvalue()])
print(json.dumps(found))
"""


def ordinary() -> list[str]:
    """A command's prefix that makes it an ordinary user's: the system lets root read and write everything."""
    if os.geteuid() != 0:
        return []
    if not shutil.which("setpriv"):
        pytest.skip("setpriv of util-linux is not here, and root is denied nothing")
    return ["setpriv", "--inh-caps=-all", "--bounding-set=-all"]


@pytest.fixture(scope="module")
def place(random_checkpoints: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    here = tmp_path_factory.mktemp("denied")
    for name in ("one", "two"):
        shutil.copytree(random_checkpoints / name, here / name)
    for name in ("folder", "run"):
        (here / name).mkdir()
    for path in (here / "store.sqlite", here / "folder" / "store.sqlite"):
        with Store(path) as store:
            store.add([("key", Completion("kept", "stop", 1))], RUN)
    (here / "suite.toml").write_text(MODELS + PAIR)
    (here / "rows.jsonl").write_text("{}\n")
    shutil.copy(DATA / "baseline.json", here / "good.json")
    (here / "run" / "results.json").write_text("{}")
    with zipfile.ZipFile(here / "set.zip", "w") as archive:
        archive.writestr("rows.jsonl", "{}\n")
    return here


@pytest.fixture(scope="module")
def told(place: Path) -> dict[tuple[str, int, str, str], tuple[int, str]]:
    """Status and standard error of each command, all run in one process."""
    command = [*ordinary(), sys.executable, "-c", ALL_AT_ONCE]
    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, input=json.dumps(DENIED), cwd=place, env=environ, capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout.splitlines()[-1])
    return {row: tuple(said) for row, said in zip(DENIED, found, strict=True)}


@pytest.mark.parametrize("row", DENIED, ids=lambda row: f"{row[0]} {row[1]:o} {row[2].split()[0]}")
def test_what_a_user_may_not_read_or_write_is_one_line(
    row: tuple[str, int, str, str], told: dict[tuple[str, int, str, str], tuple[int, str]]
) -> None:
    status, said = told[row]
    assert status == MISTAKE and said.count("\n") == 1 and row[3] in said, said
    assert "bug of" not in said and "Traceback" not in said


def test_what_was_denied_is_as_it_was(place: Path, told: object) -> None:
    for path in (place / "store.sqlite", place / "folder" / "store.sqlite"):
        with Store(path) as store:
            assert store.get(["key"])["key"].text == "kept" and store.problems() == store.notices == []
    assert sorted(path.name for path in (place / "folder").iterdir() if "store" not in path.name) == []


# Before the report is written, somebody else takes what room there is.
FULL = """
import pytest

@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session):
    with open("reports/ballast", "wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            file.truncate(file.tell() - LEFT)
"""
SMALL = """
mount -t tmpfs -o size=64m none reports && mkdir reports/last && echo kept > reports/last/report.md &&
ln -s last reports/latest && "$@"; status=$?; echo; ls -A reports; cat reports/latest/report.md; exit $status
"""


class Nights:
    """Runs on two random models in a folder of their own."""

    def __init__(self, pytester: pytest.Pytester, models: dict[str, ModelEntry]) -> None:
        self.pytester, self.path = pytester, pytester.path
        for name in ("one", "two"):
            (pytester.path / name).symlink_to(models[name].path)
        (pytester.path / "suite.toml").write_text(MODELS + PAIR)

    def run(self, *options: str, prefix: tuple[str, ...] = ()) -> pytest.RunResult:
        return self.pytester.run(
            *prefix, sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--rootdir={ROOT}",
            f"--config-file={ROOT / 'pytest.ini'}", str(ROOT / "tests" / "hypotheses" / "test_code.py"),
            "--boxes-suite=suite.toml", "--boxes-store=store.sqlite", "--boxes-report-dir=reports",
            "--boxes-limit=2", "--boxes-engine=reference", "--boxes-batch-size=1", *options,
        )  # fmt: skip

    def figures(self) -> bytes:
        return (self.path / "reports" / "latest" / "accuracy.csv").read_bytes()

    def plugin(self, text: str) -> None:
        (self.path / "fault.py").write_text(text)


@pytest.fixture
def nights(pytester: pytest.Pytester, models: dict[str, ModelEntry]) -> Nights:
    return Nights(pytester, models)


@pytest.mark.nightly
@pytest.mark.parametrize("left", [0, 50_000, 400_000], ids=lambda left: f"{left} bytes left")
def test_a_disk_that_is_full_when_the_report_is_written_keeps_answers_and_the_last_report(
    left: int, nights: Nights
) -> None:
    own = ("unshare", "--map-root-user", "--mount")
    if not shutil.which("unshare") or subprocess.run([*own, "true"], capture_output=True).returncode:
        pytest.skip("this system lets no user mount a file system")
    (nights.path / "reports").mkdir()
    nights.plugin(FULL.replace("LEFT", str(left)))
    result = nights.run("-p", "fault", prefix=(*own, "sh", "-c", SMALL, "sh"))
    told = result.stdout.str() + result.stderr.str()
    assert result.ret == MISTAKE and "Traceback" not in told and "INTERNALERROR" not in told, told
    assert "No space left on device. Nothing was damaged. Free some space" in " ".join(told.split())
    assert result.outlines[-4:] == ["ballast", "last", "latest", "kept"]
    with Store(nights.path / "store.sqlite") as store:
        assert store.read("SELECT count(*) FROM completions") == [(4,)] and store.problems() == []
    assert nights.run().ret == 0 and nights.figures()


@pytest.mark.nightly
def test_a_clock_that_goes_back_a_year_changes_no_figure_and_hides_no_report(nights: Nights) -> None:
    assert nights.run("--boxes-save=first").ret == 0
    first, figures = os.readlink(nights.path / "reports" / "latest"), nights.figures()
    nights.plugin("from fixtures.clock import shift_clock\n\nshift_clock(days=-400)\n")
    result = nights.run("-p", "fault", "--boxes-save=second", "--boxes-compare=first", "--boxes-compare-fail")
    assert result.ret == 0, result.stdout.str()
    second = os.readlink(nights.path / "reports" / "latest")
    assert second < first and nights.figures() == figures  # named after an earlier time, and the latest
    with Store(nights.path / "store.sqlite") as store:
        assert store.read("SELECT count(*) FROM completions") == [(4,)] and store.problems() == []
    history = (nights.path / "reports" / "history.html").read_text()
    assert "first" in history and "second" in history
