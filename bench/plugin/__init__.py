"""The pytest plugin: options, cases, terminal. In: pytest's configuration. Out: outcomes of cases, and a
report.

No other folder imports pytest. `pytest -p bench.plugin` loads the plugin. In an installed package entry.py
loads it. PYTEST_DONT_REWRITE: pytest imports entry.py too early to rewrite assertions, and there are none.
"""

pytest_plugins = ("bench.plugin.entry", "bench.plugin.hooks", "bench.plugin.cases", "bench.plugin.guards")
