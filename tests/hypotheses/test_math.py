"""Does further training on mathematics make a model track entities better?"""

import pytest

from bench.plugin.cases import require_published_support, require_supported
from bench.records import Verdict

pytestmark = pytest.mark.math_hypothesis


def test_variant_beats_base(verdict: Verdict) -> None:
    require_supported(verdict)


def test_published_variant_beats_base(published: Verdict) -> None:
    require_published_support(published)
