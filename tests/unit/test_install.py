"""What an installed wheel has: data, suites, models and cases inside the package, and nothing beside it."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import bench

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
    """A folder like site-packages that has the wheel, built from this checkout."""
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
