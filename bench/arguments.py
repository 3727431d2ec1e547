"""Text from a command line -> numbers within bounds, as types for argparse."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from collections.abc import Callable
from math import inf

from bench.inputs import shortened

LARGEST = 2**63 - 1  # the largest number that every reader accepts


def whole(least: int, most: int = LARGEST) -> Callable[[str], int]:
    """A whole number from `least` to `most`."""

    def read(text: str) -> int:
        if re.fullmatch("[+-]?[0-9]{1,19}", text) and least <= int(text) <= most:
            return int(text)
        upper = "" if most == LARGEST else f" and at most {most}"
        raise ArgumentTypeError(f"{shortened(text)!r} is not a whole number of at least {least}{upper}.")

    return read


def number(least: float, most: float = inf) -> Callable[[str], float]:
    """A finite number from `least` to `most`."""

    def read(text: str) -> float:
        try:
            found = float(text)
        except ValueError:
            found = inf
        if least <= found <= most and found < inf:  # also refuses nan
            return found
        upper = "" if most == inf else f" and at most {most:g}"
        raise ArgumentTypeError(f"{shortened(text)!r} is not a number of at least {least:g}{upper}.")

    return read


def text(value: str) -> str:
    """Text that every file can hold. A byte outside UTF-8 on the command line becomes a lone surrogate."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ArgumentTypeError(f"{shortened(value)!r} is not text in UTF-8.") from None
    return value


SEED, COUNT = whole(0), whole(1)
