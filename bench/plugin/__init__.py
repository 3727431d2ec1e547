"""The pytest plugin: options, cases, terminal. In: pytest's configuration. Out: outcomes of cases, and a
report.

No other folder imports pytest. `pytest -p bench.plugin` loads the plugin. In an installed package entry.py
loads it. PYTEST_DONT_REWRITE: entry.py is imported first, and there are no assertions here.
"""

pytest_plugins = (
    "bench.plugin.entry",
    "bench.plugin.hooks",
    "bench.plugin.cases",
    "bench.plugin.guards",
)
