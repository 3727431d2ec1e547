"""Cases that xdist loses silently fail the run. Cases that the user stopped do not."""

import pytest

pytest_plugins = ["pytester"]

CONFTEST = """
from bench.plugin.guards import Completeness

def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Completeness())
"""
BROKEN = """
def pytest_runtest_logstart(nodeid):
    assert "test_case[2]" not in nodeid
"""
CASES = """
import os
import pytest

@pytest.mark.parametrize("number", range(6))
def test_case(number, record_property):
    {}
"""


def run(pytester: pytest.Pytester, body: str, *options: str) -> pytest.RunResult:
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(CASES.format(body))
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", "--dist=worksteal", *options)


def test_a_case_whose_report_cannot_be_sent_is_lost_and_named(pytester: pytest.Pytester) -> None:
    """Without the check this run can pass with exit status 0, or xdist ends it early and loses more cases."""
    result = run(pytester, "if number == 5: record_property('name', os)", "-n2")
    assert result.ret != 0
    result.stdout.re_match_lines([r".*cases lost", r"\d collected cases never reported", r".*test_case\[5\]"])


def test_cases_that_a_dead_worker_took_with_it_fail_the_run_by_name(pytester: pytest.Pytester) -> None:
    result = run(pytester, "if number == 2: os._exit(3)", "-n1", "--max-worker-restart=0")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.re_match_lines([r".*cases lost", r"3 collected cases never reported", r".*test_case\[3\]"])


def test_cases_that_an_error_of_pytest_itself_took_are_named(pytester: pytest.Pytester) -> None:
    """pytest then omits its summary. xdist ends this way if a worker breaks while cases are left."""
    pytester.makeconftest(CONFTEST + BROKEN)
    pytester.makepyfile(CASES.format("pass"))
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    assert result.ret == pytest.ExitCode.INTERNAL_ERROR
    result.stdout.re_match_lines([r".*cases lost", r"4 collected cases never reported", r".*test_case\[2\]"])


@pytest.mark.parametrize("options", [("-n2",), (), ("-x",)], ids=["workers", "alone", "stopped"])
def test_nothing_is_lost_where_every_case_reports_or_the_user_stops(
    options: tuple[str, ...], pytester: pytest.Pytester
) -> None:
    result = run(pytester, "assert number != 2", *options)
    assert result.ret == 1
    result.stdout.no_fnmatch_line("*cases lost*")
