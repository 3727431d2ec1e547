"""Does a hypothesis that only a suite has hold? Its word makes the marker: rl_hypothesis for "rl"."""

from bench.plugin.cases import require_supported
from bench.records import Verdict


def test_variant_beats_base(verdict: Verdict) -> None:
    require_supported(verdict)
