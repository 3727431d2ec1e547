"""Files for other tools: every answer of a run, and the task itself.

In: a run and its store. Out: rows, Inspect logs, tasks for harnesses, metrics for trackers.
"""
