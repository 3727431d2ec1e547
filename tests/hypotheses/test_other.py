"""Does a hypothesis of a suite hold? Its name makes the marker: rl_hypothesis for "rl"."""

from bench.plugin.cases import require_supported
from bench.records import Verdict


def test_variant_beats_base(verdict: Verdict) -> None:
    require_supported(verdict)
