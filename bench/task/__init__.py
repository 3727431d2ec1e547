"""A scenario -> examples -> prompts: the world, its wording, the generator, the data sets, the protocols.

Out: `Example`s and `Prompt`s. Standard library and scipy's integer program; knows nothing of models.
"""
