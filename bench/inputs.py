"""What others wrote -> values that have been checked; what is wrong is one kind of error, in one line."""

from __future__ import annotations


class InputError(ValueError):
    """A file, an option or an answer that cannot be used: what, why, what to do, in one line."""
