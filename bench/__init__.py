"""Do language models track entities better after further training? A benchmark of model pairs.

scenario -> example -> prompt -> completion -> answer -> score -> accuracy -> comparison -> verdict -> report

From Python: `bench.evaluate(model).accuracy()`, `bench.compare(base, variant)`. From a shell: `boxes --help`.
"""

from pathlib import Path

__version__ = "0.1.0"

PACKAGE = Path(__file__).resolve().parent
CHECKOUT = PACKAGE.parent if (PACKAGE.parent / "fixtures" / "suites").is_dir() else None
ROOT = CHECKOUT or Path.cwd()  # where runs are kept: an installed package keeps them where it is called
FIXTURES = (CHECKOUT or PACKAGE) / "fixtures"
CASES = CHECKOUT / "tests" / "hypotheses" if CHECKOUT else PACKAGE / "hypotheses"
DATA = FIXTURES / "data"
SUITES = FIXTURES / "suites"
