"""Does a published model have its published accuracy here?"""

from bench.plugin.cases import require_agreement


def test_agrees_with_published(agreement: tuple[bool, str]) -> None:
    require_agreement(*agreement)
