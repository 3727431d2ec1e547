"""Does the benchmark work? A positive control must show a gain, and a negative control must not."""

import pytest

from bench.plugin.cases import require_supported
from bench.records import Verdict

pytestmark = [
    pytest.mark.control,
    pytest.mark.code_hypothesis,
    pytest.mark.math_hypothesis,
    pytest.mark.alignment_hypothesis,
]


def test_control_comes_out_as_it_must(verdict: Verdict) -> None:
    require_supported(verdict)
