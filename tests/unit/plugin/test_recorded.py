"""Figures are called "as recorded" only beside their own sample."""

from types import SimpleNamespace

import pytest

from bench.plugin.cases import recorded_where
from bench.run.options import Options


@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param(Options(), "as recorded", id="the evaluation set"),
        pytest.param(Options(limit=100), "recorded on the evaluation set", id="fewer examples"),
        pytest.param(Options(version="altforms"), "recorded on the evaluation set", id="other words"),
        pytest.param(Options(seed=1), "recorded on the evaluation set", id="other scenarios"),
    ],
)
def test_recorded_figures_are_named_by_their_sample(options: Options, said: str) -> None:
    assert recorded_where(SimpleNamespace(options=options)) == said
