"""Options and a suite -> evaluations: every stage for one model (evaluate.py), then all models (session.py).

In: a `Suite` and a `Plan`. Out: `Results`.
"""
