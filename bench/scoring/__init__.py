"""Completion -> answer -> score -> accuracy -> comparison -> verdict.

In: completions and examples. Out: `Verdict`s, and the exact expected score of random guessing.
"""
