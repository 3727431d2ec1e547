"""What other tools read: every answer of a run, and the task itself.

In: a run and its store. Out: rows, logs of Inspect, tasks of harnesses, metrics of trackers.
"""
