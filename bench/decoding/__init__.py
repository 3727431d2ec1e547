"""Prompt -> Completion under a constraint."""
