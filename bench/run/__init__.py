"""Options and a suite -> results: every stage for one model (evaluate.py), then all models (session.py).

In: `Options`, which make a `Suite` and a `Plan`. Out: one `Evaluation` per model, and the `Results` of a run.
"""
