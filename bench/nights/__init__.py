"""Results -> a saved night; tonight and an earlier night -> what changed, and whether a model got worse."""
