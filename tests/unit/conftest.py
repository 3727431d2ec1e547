"""Fixtures for all unit tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fixtures.llamacpp import gguf_of, llama_python  # noqa: F401
from fixtures.servers import serve  # noqa: F401


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests do not see the user's cache and settings."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BOXES_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
