"""The fast engine: a draft of each answer is checked in one pass over a tree of tokens.

In: prompts with drafts. Out: the completions that the reference engine would give, token for token.
"""
