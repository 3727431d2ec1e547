"""Results -> a saved night; tonight and an earlier night -> what changed, and whether a model got worse.

In: `Results`, and the file of a saved `Night`. Out: a `Regression` with the exit status that says it.
"""
