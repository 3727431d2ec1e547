"""The Python interface. In: a model by name or in memory. Out: tables, figures and verdicts.

`import bench` exports what is here, and imports it when it is first used.
"""
