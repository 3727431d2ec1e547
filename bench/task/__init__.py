"""Scenario -> examples -> prompts: the world, its wording, the data sets, the protocols.

In: a seed or the released data, and a protocol. Out: `Example`s and `Prompt`s. This folder needs the standard
library and scipy's integer programs, but no model.
"""
