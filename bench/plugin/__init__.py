"""The rim: options, cases, terminal. In: pytest's configuration. Out: outcomes of cases, and a report.

No other room imports pytest. `pytest -p bench.plugin` loads it.
"""

pytest_plugins = ("bench.plugin.hooks", "bench.plugin.fixtures", "bench.plugin.boundary")
