"""The embedded family: seeds -> corpora -> tokenizer -> model -> weights and model card."""
