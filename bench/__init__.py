"""Do language models track entities better after further training? A benchmark of model pairs.

scenario -> example -> prompt -> completion -> answer -> score -> accuracy -> comparison -> verdict -> report
"""

from pathlib import Path

__version__ = "0.1.0"

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "fixtures" / "data"
SUITES = ROOT / "fixtures" / "suites"
