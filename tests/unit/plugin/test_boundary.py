"""An exception is one line and an exit status, for pytest and for python -m bench."""

from __future__ import annotations

import errno

import pytest

from bench.commands import main
from bench.inputs import BUG, MISTAKE, InputError, explain

pytest_plugins = ["pytester"]


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        pytest.param(
            InputError("two\nlines\x1b"), MISTAKE, "two lines\N{REPLACEMENT CHARACTER}", id="a mistake"
        ),
        pytest.param(
            OSError(errno.EACCES, "Permission denied", "f"), MISTAKE, "f: Permission denied.", id="a file"
        ),
        pytest.param(
            OSError(errno.ENOSPC, "No space left"), MISTAKE, "No space left. Nothing was", id="a full disk"
        ),
        pytest.param(ConnectionError("no answer"), MISTAKE, "no answer.", id="a server"),
        pytest.param(
            ZeroDivisionError("x"), BUG, "a bug of entity-tracking-bench: ZeroDivisionError: x", id="a bug"
        ),
        pytest.param(
            ValueError("x"), BUG, "a bug of entity-tracking-bench: ValueError: x", id="a library's error"
        ),
    ],
)
def test_what_a_user_reads_of_an_exception(error: Exception, status: int, said: str) -> None:
    line, found = explain(error)
    assert found == status and line.startswith(said) and line.isprintable()


def test_a_bug_says_where_it_is_and_that_answers_are_kept() -> None:
    try:
        _ = {}["absent"]
    except KeyError as error:
        line, _ = explain(error)
    assert (
        "(test_boundary.py, line " in line and "keeps all answers" in line and "CONTRIBUTING.md" in line
    )


def test_a_command_shows_the_traceback_of_a_bug_only_when_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("bench.scoring.baselines.run", lambda chosen: 1 / 0)
    assert main(["baseline"]) == BUG
    assert capsys.readouterr().err.count("\n") == 1
    with pytest.raises(ZeroDivisionError):
        main(["baseline", "--boxes-debug"])


@pytest.mark.parametrize("arguments", [["baseline", "--no"], ["no"], []])
def test_a_wrong_word_of_a_command_has_the_status_of_a_mistake(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == MISTAKE


CONFTEST = """
pytest_plugins = ["bench.plugin.guards"]
import bench.scoring.baselines as ours

def {hook}:
    ours.expected_accuracy(None)
"""


@pytest.mark.parametrize(
    "hook",
    ["pytest_collection_modifyitems()", "pytest_collection_finish()", "pytest_sessionfinish()"],
)
def test_a_bug_in_a_hook_ends_the_run_in_one_line(hook: str, pytester: pytest.Pytester) -> None:
    pytester.makeconftest(CONFTEST.format(hook=hook))
    pytester.makepyfile("def test_one(): pass")
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    said = result.stdout.str() + result.stderr.str()
    assert result.ret == BUG
    assert said.count("a bug of entity-tracking-bench: AttributeError") == 1
    assert "Traceback" not in said and "INTERNALERROR" not in said


def test_what_pytest_tells_itself_is_left_to_it(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        "import bench.plugin.hooks as hooks, pytest\npytest_plugins = ['bench.plugin.guards']\n"
        "def refuse(text): raise pytest.UsageError(text)\n"
        "hooks.refuse = type(refuse)(refuse.__code__.replace(co_filename=hooks.__file__), globals())\n"
        "def pytest_collection_finish(): hooks.refuse('a mistake')\n"
    )
    pytester.makepyfile("def test_one(): pass")
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    assert result.ret == MISTAKE
    result.stderr.fnmatch_lines(["ERROR: a mistake"])


def test_a_mistake_found_while_collecting_is_a_usage_error(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        "from bench.inputs import place\npytest_plugins = ['bench.plugin.guards']\n"
        "def pytest_collection_finish(): place('~nosuchuser/x')\n"
    )
    pytester.makepyfile("def test_one(): pass")
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    assert result.ret == MISTAKE
    result.stderr.fnmatch_lines(["ERROR: ~nosuchuser/x is not a path: *"])
