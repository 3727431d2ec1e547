"""Completion -> answer -> score -> accuracy -> comparison -> verdict.

In: completions and their examples, or counts. Out: `Verdict`s, pooled gains (`Pooled`), and the exact
expected score of random guessing.
"""
