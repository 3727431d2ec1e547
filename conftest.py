"""Wiring only: the plugin, and the fixtures that the tests stand on."""

pytest_plugins = [
    "bench.plugin",
    "fixtures.datasets",
    "fixtures.models",
    "fixtures.generators",
]
