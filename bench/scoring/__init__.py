"""Completion -> answer (answers.py) -> score (scores.py) -> accuracy (stats.py) -> comparison -> verdict
(verdicts.py).

In: completions and their examples, or counts. Out: `Verdict`s, pooled gains (`Pooled`), and the exact
expected accuracy of random guessing.
"""
