"""The contents of an installed wheel: data, suites, models and cases, all inside the package."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

import bench
from bench.plugin.entry import check_places, names_us

PROJECT = tomllib.loads((bench.ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_every_place_that_the_package_knows_is_in_the_wheel() -> None:
    placed = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    for place in (bench.DATA, bench.SUITES, bench.FIXTURES / "tiny", bench.CASES):
        source = place.relative_to(bench.ROOT).as_posix()
        assert placed[source] == f"bench/{source.removeprefix('tests/')}"


def test_import_of_the_package_is_light() -> None:
    watched = "torch", "transformers", "pandas", "scipy", "numpy", "pytest"
    code = f"import bench, sys; print([name for name in {watched} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=bench.ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.fixture(scope="session")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like site-packages with the wheel, built from this checkout."""
    pytest.importorskip("hatchling", reason="needs pip install hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=bench.ROOT, check=True, capture_output=True)
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


@pytest.mark.nightly
def test_the_wheel_puts_nothing_beside_the_package(unpacked: Path) -> None:
    names = {path.name for path in unpacked.iterdir()}
    assert names == {"bench", f"entity_tracking_bench-{bench.__version__}.dist-info"}


OWN = """
import pytest
@pytest.fixture
def verdict(): return 1
def test_own(verdict): assert verdict == 1
"""
HEAVY = """
import json, sys
def pytest_unconfigure():
    heavy = [name for name in ("torch", "scipy", "pandas", "bench.run.options") if name in sys.modules]
    print("imported:", json.dumps([heavy, "bench.plugin.entry" in sys.modules]))
"""


@pytest.fixture
def unrelated(tmp_path: Path) -> Path:
    """Another project, with a fixture that has the same name as one of ours."""
    (tmp_path / "conftest.py").write_text(HEAVY)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_own.py").write_text(OWN)
    return tmp_path


def in_project(site: Path, folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """A command in a folder, in an environment with the wheel and without a checkout."""
    environ = os.environ | {"PYTHONPATH": os.pathsep.join([str(site), *others()])}
    return subprocess.run(
        [sys.executable, "-P", *command], cwd=folder, env=environ, capture_output=True, text=True
    )


def others() -> list[str]:
    """Where the dependencies are."""
    return [path for path in sys.path if path.endswith("site-packages")]


@pytest.mark.nightly
@pytest.mark.parametrize("arguments", [["--fixtures"], ["--co"], []])
def test_an_unrelated_project_pays_nothing(unpacked: Path, unrelated: Path, arguments: list[str]) -> None:
    done = in_project(unpacked, unrelated, "-m", "pytest", "-p", "no:cacheprovider", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    [line] = [line for line in done.stdout.splitlines() if line.startswith("imported:")]
    assert json.loads(line.partition(":")[2]) == [[], True]


@pytest.mark.nightly
def test_the_installed_cases_run_in_an_empty_folder(unpacked: Path, tmp_path: Path) -> None:
    asked = ["--suite", "embedded", "-m", "code_hypothesis", "--boxes-limit", "4", "-k", "tracking-ops1plus"]
    done = in_project(unpacked, tmp_path, "-m", "bench", "run", *asked)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {".boxes", "reports", ".pytest_cache"}
    results = json.loads((tmp_path / "reports" / "latest" / "results.json").read_text())
    assert set(results["models"]) == {"tiny-base", "tiny-tracking"}


@pytest.mark.nightly
def test_a_checkout_is_not_run_with_the_installed_code(unpacked: Path) -> None:
    folder = bench.ROOT / "tests" / "unit" / "task"
    done = in_project(unpacked, folder, "-m", "pytest", "-q", "--co", ".")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "is a checkout, but the running code is" in done.stderr


@pytest.mark.nightly
def test_another_checkout_is_refused_before_its_conftest_is_loaded(unpacked: Path, tmp_path: Path) -> None:
    for folder in ("bench", "fixtures/suites"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "bench" / "records.py").touch()
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "conftest.py").write_text("raise SystemExit('a conftest')")
    done = in_project(unpacked, tmp_path, "-m", "pytest", "--co")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "is a checkout, but" in done.stderr and "a conftest" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("argument", "ours"),
    [
        ("--boxes-limit=3", True),
        ("bench.hypotheses", True),
        (f"{bench.CASES / 'test_code.py'}::test_variant_beats_base", True),
        ("--help", True),
        ("tests/hypotheses", False),
        ("-q", False),
    ],
)
def test_the_plugin_is_loaded_where_it_is_named(argument: str, ours: bool) -> None:
    assert names_us(argument) is ours


@pytest.mark.parametrize(
    ("arguments", "settings", "refused"),
    [
        (["--boxes-suite", "../my.toml"], None, True),
        (["--boxes-suite=../my.toml"], None, False),
        (["--boxes-suite", "../my.toml"], "pytest.ini", False),
        (["--boxes-suite", "own.toml"], None, False),
        (["-k", "../my.toml"], None, False),
    ],
)
def test_a_place_elsewhere_needs_an_equals_sign(
    arguments: list[str],
    settings: str | None,
    refused: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Otherwise pytest finds neither its settings nor the cases."""
    (tmp_path / "here").mkdir()
    for name in ("my.toml", "here/own.toml"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path / "here")
    config = SimpleNamespace(inipath=settings, known_args_namespace=SimpleNamespace(rootdir=None))
    if refused:
        with pytest.raises(pytest.UsageError, match="write --boxes-suite=../my.toml"):
            check_places(config, arguments)  # type: ignore[arg-type]
    else:
        check_places(config, arguments)  # type: ignore[arg-type]
