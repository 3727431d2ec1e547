"""The pytest hooks: options, one case per pair and bucket, and the report after the last case.

No large package is imported before one of our options is given or one of our cases is collected.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

from bench.plugin.guards import Completeness
from bench.records import HYPOTHESES
from bench.run.options import Options, add_options, options_of
from bench.run.plans import new_run_id
from bench.text import printable

if TYPE_CHECKING:
    from bench.plugin.state import State

STATE = pytest.StashKey["State"]()
RUN_ID = pytest.StashKey[str]()
COMPLETENESS = pytest.StashKey[Completeness]()
PRINTED = ("help", "markers", "version", "cacheshow")  # pytest's options that collect no cases
LOOKED_AT = ("collectonly", "showfixtures", "show_fixtures_per_test", "setupplan")  # collect but run no cases
FIXTURES = ("verdict", "published", "over_random", "agreement")  # fixtures with one value per case
MARKERS = (
    *(f"{name}_hypothesis: {claim}" for name, claim in HYPOTHESES.items()),
    "control: checks that the benchmark finds a gain if there is one, and none if there is none",
    "suite(name): runs only with this whole suite",
)
# The end of a case's id: BASE..VARIANT-BUCKET, or MODEL-BUCKET for a model against guessing.
CASE = re.compile(r"(\[.+\.\.|::test_model_beats_random_guessing\[).+-ops\w+\]$")


def pytest_addoption(parser: pytest.Parser) -> None:
    add_options(parser.getgroup("boxes", "entity tracking with the boxes task").addoption)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Use no workers for a command that runs no case. xdist ends some of them with an internal error."""
    if looks_only(config) and hasattr(config.option, "numprocesses"):
        config.option.numprocesses, config.option.dist, config.option.tx = 0, "no", []


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Check every option before anything runs. A user's mistake is one line and exit status 4."""
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    if is_worker(config):
        share_cores(vars(config)["workerinput"]["workercount"])
        config.stash[RUN_ID] = vars(config)["workerinput"]["boxes_run_id"]
    else:
        config.stash[RUN_ID] = new_run_id()
        config.stash[COMPLETENESS] = Completeness(armed=False)
        config.pluginmanager.register(config.stash[COMPLETENESS], "boxes-completeness")
    if not any(config.getoption(name, False) for name in PRINTED) and asked_of(config) != Options():
        state_of(config)


def is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def looks_only(config: pytest.Config) -> bool:
    """Whether this command shows information and runs no case."""
    return any(config.getoption(name, False) for name in (*PRINTED, *LOOKED_AT))


def share_cores(workers: int) -> None:
    """Give a worker its share of the cores before torch is imported, unless the user set the number."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores // workers)))


def asked_of(config: pytest.Config) -> Options:
    try:
        return options_of(vars(config.option))
    except ValueError as error:
        raise pytest.UsageError(printable(str(error))) from None


def command_of(arguments: Sequence[object], password: str | None) -> str:
    """The command line to type again, without the password."""
    command = shlex.join(["pytest", *map(str, arguments)])
    return command.replace(password, "***") if password else command


def state_of(config: pytest.Config) -> State:
    """The state of this process, created at first use."""
    if STATE not in config.stash:
        from bench.plugin.state import State

        try:
            options = asked_of(config)
            command = command_of(config.invocation_params.args, options.dataset_password)
            config.stash[STATE] = state = State(options, config.stash[RUN_ID], is_worker(config), command)
            if not (is_worker(config) or looks_only(config) or config.getoption("boxes_dry_run")):
                from bench.plugin.terminal import Terminal

                state.check()
                config.stash[COMPLETENESS].armed = True
                config.pluginmanager.register(Terminal(config, state), "boxes-terminal")
        except ValueError as error:
            raise pytest.UsageError(printable(str(error))) from None
        for name in state.hypotheses:
            if name not in HYPOTHESES:
                config.addinivalue_line("markers", f"{name}_hypothesis: of the suite {state.suite.name}")
    return config.stash[STATE]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep only cases of the suite. Tests of pairs run last, because they need all pairs of a family."""
    others = {item for item in items if not in_suite(config, item)}
    items[:] = [item for item in items if item not in others]
    if others:
        config.hook.pytest_deselected(items=list(others))
    items.sort(key=lambda item: item.name.endswith("-ops1plus]"))


def in_suite(config: pytest.Config, item: pytest.Item) -> bool:
    """False for a test without a case in this suite, and for a test of a suite that does not run whole."""
    params = item.callspec.params if hasattr(item, "callspec") else {}
    if any(name in params and params[name] is None for name in FIXTURES):
        return False
    return all(mark.args[0] in state_of(config).whole for mark in item.iter_markers("suite"))


def pytest_collection_finish(session: pytest.Session) -> None:
    note(session.config, [item.nodeid for item in session.items])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node, ids: list[str]) -> None:
    note(node.config, ids)


def note(config: pytest.Config, node_ids: Sequence[str]) -> None:
    """Remember the cases to run, and check their requirements."""
    if not any(map(CASE.search, node_ids)):
        return
    state = state_of(config)
    state.note(node_ids)
    if not (is_worker(config) or looks_only(config)):
        state.check_places()
        if (terminal := config.pluginmanager.getplugin("boxes-terminal")) and state.asked():
            terminal.begin()


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """-n auto means one worker per lease of GPUs; without GPUs, xdist's own number."""
    from bench.models.machine import visible_gpus

    return len(visible_gpus()) // config.getoption("boxes_gpus_per_worker") or None


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node) -> None:
    node.workerinput["boxes_run_id"] = node.config.stash[RUN_ID]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node) -> None:
    if getattr(node, "workeroutput", {}).get("boxes_offered"):
        state_of(node.config).offered = True


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """A dry run shows how each model would be asked, and runs nothing."""
    if not session.config.getoption("boxes_dry_run"):
        return None
    from bench.plugin.terminal import show_models

    reporter = session.config.pluginmanager.getplugin("terminalreporter")
    show_models(state_of(session.config), reporter.write_line)
    return True


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker reports whether it saw our tests. Only then is a run without cases worth a message."""
    if is_worker(session.config) and STATE in session.config.stash:
        vars(session.config)["workeroutput"]["boxes_offered"] = session.config.stash[STATE].offered
