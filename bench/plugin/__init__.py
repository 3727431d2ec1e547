"""The rim: options, cases, terminal. In: pytest's configuration. Out: outcomes of cases, and a report.

No other room imports pytest. `pytest -p bench.plugin` loads it; in an installed package entry.py does.
PYTEST_DONT_REWRITE: entry.py is imported first, and there are no assertions here.
"""

pytest_plugins = (
    "bench.plugin.entry",
    "bench.plugin.hooks",
    "bench.plugin.cases",
    "bench.plugin.guards",
)
