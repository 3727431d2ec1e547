"""Loads the plugin and the fixtures of the tests."""

pytest_plugins = [
    "bench.plugin",
    "fixtures.datasets",
    "fixtures.models",
    "fixtures.generators",
]
