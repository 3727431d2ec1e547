"""The embedded family: seeds -> corpora -> tokenizer -> model -> weights and model card.

In: the name of an arm (arms.py) and a seed. Out: a checkpoint's folder, with its card and recorded figures.
"""
