"""The entry point that pytest loads in every project of an environment with this package.

It loads the plugin only if the arguments, or a project's addopts, name one of our options or our cases.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from bench import CASES, check_checkout

NAMES = ("--boxes-", "bench.hypotheses")
HELP = ("-h", "--help")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config, args: Sequence[str]) -> None:
    try:
        check_checkout(early_config.rootpath)  # refuse to run its cases with other code than its own
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None
    if any(names_us(argument) for argument in args):
        check_places(early_config, args)
        early_config.pluginmanager.import_plugin("bench.plugin")


def check_places(early_config: pytest.Config, args: Sequence[str]) -> None:
    """Refuse "--boxes-X ../path". pytest would read the path as a test, and look for its settings there."""
    if early_config.inipath or early_config.known_args_namespace.rootdir:
        return
    for flag, value in pairwise(args):
        elsewhere = Path(value).exists() and not Path(value).resolve().is_relative_to(Path.cwd())
        if flag.startswith("--boxes-") and "=" not in flag and elsewhere:
            raise pytest.UsageError(f"{flag} {value}: write {flag}={value}, or pytest takes it for a test.")


def names_us(argument: str) -> bool:
    """Whether an argument needs the plugin: one of our options, our cases, or a request for help."""
    if argument.startswith(NAMES) or argument in HELP:
        return True
    path = Path(argument.partition("::")[0])
    return path.is_absolute() and path.is_relative_to(CASES)
