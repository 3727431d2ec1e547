"""Words of a command line -> numbers within their bounds, as types for argparse."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from collections.abc import Callable
from math import inf

from bench.inputs import shortened

LARGEST = 2**63 - 1  # that every reader of a number takes


def whole(least: int, most: int = LARGEST) -> Callable[[str], int]:
    """A whole number from `least` to `most`."""

    def read(text: str) -> int:
        if re.fullmatch("[+-]?[0-9]{1,19}", text) and least <= int(text) <= most:
            return int(text)
        upper = "" if most == LARGEST else f" and at most {most}"
        raise ArgumentTypeError(f"{shortened(text)!r} is no whole number of at least {least}{upper}.")

    return read


def number(least: float, most: float = inf) -> Callable[[str], float]:
    """A finite number from `least` to `most`."""

    def read(text: str) -> float:
        try:
            found = float(text)
        except ValueError:
            found = inf
        if least <= found <= most and found < inf:  # nan is neither
            return found
        upper = "" if most == inf else f" and at most {most:g}"
        raise ArgumentTypeError(f"{shortened(text)!r} is no number of at least {least:g}{upper}.")

    return read


SEED, COUNT = whole(0), whole(1)
