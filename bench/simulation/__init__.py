"""Known truth -> what a run can show: the smallest detectable gain, and how often findings are wrong.

In: examples, and answers that are assumed or drawn. Out: tables of `power` and `simulate`.
"""
