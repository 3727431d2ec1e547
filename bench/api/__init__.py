"""The Python interface. In: a model by name or in memory. Out: tables, figures and verdicts.

`bench.evaluate`, `bench.compare` and `bench.BoxesCallback` are imported from here when they are first used.
"""
