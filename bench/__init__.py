"""Do language models track entities better after further training? A benchmark of model pairs.

scenario -> example -> prompt -> completion -> answer -> score -> accuracy -> comparison -> verdict -> report

From Python: `bench.evaluate(model).accuracy()`, `bench.compare(base, variant)`. From a shell: `boxes --help`.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.api.callback import BoxesCallback
    from bench.api.evaluate import Compared, Result, compare, evaluate
    from bench.models.suites import load_suite

__version__ = "0.1.0"

PACKAGE = Path(__file__).resolve().parent
CHECKOUT = PACKAGE.parent if (PACKAGE.parent / "fixtures" / "suites").is_dir() else None
ROOT = CHECKOUT or Path.cwd()  # folder for runs; an installed package uses the current folder
FIXTURES = (CHECKOUT or PACKAGE) / "fixtures"
CASES = CHECKOUT / "tests" / "hypotheses" if CHECKOUT else PACKAGE / "hypotheses"
DATA = FIXTURES / "data"
SUITES = FIXTURES / "suites"


def check_checkout(folder: Path) -> None:
    """Raises ValueError in a checkout if the running code is not the checkout's."""
    known = (folder / "bench" / "records.py", folder / "fixtures" / "suites")
    if folder.resolve() != CHECKOUT and all(place.exists() for place in known):
        from bench.inputs import InputError

        raise InputError(
            f"{folder} is a checkout, but the running code is {PACKAGE}. "
            "Run python -m pytest or python -m bench there, or pip install -e . first."
        )


EXPORTED = {  # name: its module, imported when the name is first used
    "BoxesCallback": "bench.api.callback",
    "evaluate": "bench.api.evaluate",
    "compare": "bench.api.evaluate",
    "Result": "bench.api.evaluate",
    "Compared": "bench.api.evaluate",
    "load_suite": "bench.models.suites",
}
__all__ = ["BoxesCallback", "Compared", "Result", "compare", "evaluate", "load_suite"]


def __getattr__(name: str) -> Any:
    """PEP 562: `import bench` imports neither torch nor pandas."""
    if name in EXPORTED:
        return getattr(import_module(EXPORTED[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *EXPORTED})
