"""A scenario -> examples -> prompts: the world, its wording, the data sets, the protocols.

In: a seed, or the released data; a protocol. Out: `Example`s and `Prompt`s.
Standard library and scipy's integer program. Nothing here knows models.
"""
