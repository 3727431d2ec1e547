"""Is each model better than guessing among the objects mentioned with the box?"""

from bench.plugin.cases import require_above_random


def test_model_beats_random_guessing(over_random: tuple[bool | None, str]) -> None:
    require_above_random(*over_random)
