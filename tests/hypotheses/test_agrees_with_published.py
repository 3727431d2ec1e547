"""Does a published model come out here as it was published?"""

from bench.plugin.cases import require_agreement


def test_agrees_with_published(agreement: tuple[bool, str]) -> None:
    require_agreement(*agreement)
