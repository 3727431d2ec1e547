"""Suite, plan -> a store with all answers, by Ray or SLURM: `python -m bench score`.

This folder only fills the store. pytest then judges the answers.
"""
