"""Results -> a saved run ("night"). This run and an earlier run -> the changes.

In: `Results`, and the file of a saved `Night`. Out: a `Regression`, which sets the exit status.
"""
