"""The Python interface. In: a model by name or in memory. Out: tables, figures and verdicts.

`import bench` exports these names, and imports each when it is first used.
"""
