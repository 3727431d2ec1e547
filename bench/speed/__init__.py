"""Engines, tokenizers and cards -> seconds and tokens.

In: a checkpoint, or the shape of a model with random weights. Out: tables of `benchmark` and `gpu-check`.
"""
