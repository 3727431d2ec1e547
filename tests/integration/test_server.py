"""Whole runs against model servers: requests, stored rows, reports, and the cost of faults."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bench import ROOT
from bench.decoding import client
from bench.records import Example, ModelEntry, Pair, Suite
from bench.run.options import Options
from bench.run.plans import Plan
from bench.run.session import Session, Unavailable
from bench.store import Store
from bench.task.prompts import gold_statement
from fixtures.checkpoints import BOS, TEMPLATES, make_tokenizer
from fixtures.servers import ModelServer

pytest_plugins = ["pytester"]

SUITE = """
name = "served"
[[models]]
name = "one"
path = "one"
[[models]]
name = "two"
hub = "org/two"
[[pairs]]
hypothesis = "code"
base = "one"
variant = "two"
"""
ONE, TWO = ModelEntry("one", "nowhere/one"), ModelEntry("two", "org/two", "hub")
KEY = "open-sesame"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No hub, a key for the servers, and short retries."""
    monkeypatch.setenv(client.KEY, KEY)
    monkeypatch.setattr(client, "PAUSES", (0.01, 0.02, 0.05))


@pytest.fixture
def right(evaluation_examples: tuple[Example, ...]) -> Callable[[str], str]:
    """A model that is always right."""
    golds = {example.description: gold_statement(example) for example in evaluation_examples}
    return lambda prompt: golds[prompt.rpartition("Description: ")[2].partition("\n")[0]]


def wrong(prompt: str) -> str:
    """A model that would write other text. Under the constraint it states something about every box."""
    return "I think that all boxes are empty"


@pytest.fixture
def session_of(plan: Plan, tmp_path: Path) -> Callable[..., Session]:
    """A session with some entries and these servers, one request at a time, as in one process of a run."""

    def make(*servers: ModelServer, entries: tuple[ModelEntry, ...] = (ONE, TWO)) -> Session:
        urls = tuple(served.url for served in servers)
        options = Options(engine="server", server=",".join(urls), server_concurrency=1, wait=60)
        asked = replace(plan, options=options, run_id="served")
        suite = Suite("served", {entry.name: entry for entry in entries}, (Pair("code", "one", "two"),))
        return Session(suite, asked, Store(tmp_path / "store.sqlite"))

    return make


def test_models_are_evaluated_where_they_are_served(
    serve: Callable[..., ModelServer], right: Callable[[str], str], session_of: Callable[..., Session]
) -> None:
    session = session_of(serve(wrong), serve(right, "llamacpp", "org/two"))
    one, two = session.evaluate("one", "two")
    assert not any(score.correct for score in one.scores)
    assert all(score.correct for score in two.scores)
    assert len(one.scores) == len(two.scores) == 7 * len(session.plan.examples)
    assert (one.engine, two.engine) == ("server/1 vllm", "server/1 llamacpp")


def test_models_may_be_served_one_after_another(
    serve: Callable[..., ModelServer], right: Callable[[str], str], session_of: Callable[..., Session]
) -> None:
    first = serve(right)
    session = session_of(first)
    session.evaluate("one")
    with pytest.raises(Unavailable) as reason:
        session.evaluate("two")
    assert reason.value.args == (
        "two",
        "no server has it. Serve it as org/two, and run again with --boxes-server=URL.",
    )
    first.die()
    second = session_of(serve(right, model="two"))
    assert [found.model for found in second.evaluate("one", "two")] == ["one", "two"]


def test_what_is_in_the_store_needs_no_server(
    serve: Callable[..., ModelServer], right: Callable[[str], str], session_of: Callable[..., Session]
) -> None:
    session_of(serve(right)).evaluate("one")
    session = session_of()
    assert session.evaluate("one")
    with pytest.raises(Unavailable, match="Give a server that has it"):
        session.evaluate("two")


def test_a_run_that_lost_its_server_goes_on_where_it_was(
    serve: Callable[..., ModelServer], right: Callable[[str], str], session_of: Callable[..., Session]
) -> None:
    served = serve(right)
    served.dies_after = 3  # the canary and two answers
    broken = session_of(served)
    with pytest.raises(ConnectionError, match="cannot be reached"):
        broken.evaluate("one")
    with pytest.raises(ConnectionError, match="cannot be reached"):
        broken.evaluate("one")  # the error is repeated, and the server is not tried again
    assert "cannot be reached" in broken.results([broken.suite.pairs], {}).skipped["one"]

    revived = serve(right, port=served.server_port)
    session = session_of(revived)
    [found] = session.evaluate("one")
    assert len(revived.asked) == 1 + len(session.plan.examples) - 2
    assert all(score.correct for score in found.scores)


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        pytest.param({"dialect": "deaf"}, "ignores a constraint", id="ignores the constraint"),
        pytest.param({"model": "gpt"}, "serves gpt, and no model of the suite", id="another model"),
    ],
)
def test_a_server_at_fault_fails_its_model_alone(
    fault: dict[str, str],
    says: str,
    serve: Callable[..., ModelServer],
    right: Callable[[str], str],
    session_of: Callable[..., Session],
) -> None:
    session = session_of(serve(wrong, **fault), serve(right, model="org/two"))
    with pytest.raises(ValueError, match=says):
        session.evaluate("one")
    assert session.evaluate("two")
    results = session.results([session.suite.pairs], {})
    assert list(results.evaluations) == ["two"] and says in results.skipped["one"]
    assert [run["model"] for run in session.store.runs()] == ["two"]


def test_another_build_of_a_model_is_another_model(
    serve: Callable[..., ModelServer], right: Callable[[str], str], session_of: Callable[..., Session]
) -> None:
    """The fingerprint of a served model has its name, and its local files if there are any."""
    session_of(serve(right)).evaluate("one")
    for entry in (replace(ONE, name="one-fp8"), replace(ONE, chat=True), replace(ONE, revision="v2")):
        with pytest.raises(Unavailable):
            session_of(entries=(entry,)).evaluate(entry.name)


def test_a_local_checkpoint_that_was_changed_is_asked_again(
    serve: Callable[..., ModelServer],
    right: Callable[[str], str],
    session_of: Callable[..., Session],
    random_checkpoints: Path,
) -> None:
    before, after = (ModelEntry("one", str(random_checkpoints / name)) for name in ("one", "two"))
    served = serve(right)
    served.count_tokens = tokens_of(before)
    session_of(served, entries=(before,)).evaluate("one")
    with pytest.raises(Unavailable):
        session_of(entries=(after,)).evaluate("one")


def tokens_of(entry: ModelEntry) -> Callable[[str], int]:
    from bench.models import load_tokenizer

    tokenizer = load_tokenizer(entry)
    return lambda text: len(tokenizer(text).input_ids)


@pytest.mark.parametrize("template", ["system role", "system role and BOS"])
def test_a_chat_model_is_sent_its_turns_as_text_with_one_bos(
    template: str,
    serve: Callable[..., ModelServer],
    right: Callable[[str], str],
    session_of: Callable[..., Session],
    tmp_path: Path,
) -> None:
    """A server adds a BOS itself, and counts as many tokens as the local tokenizer."""
    make_tokenizer(template=TEMPLATES[template]).save_pretrained(tmp_path / "chatty")
    (tmp_path / "chatty" / "config.json").write_text('{"model_type": "llama"}')
    entry = ModelEntry("chatty", str(tmp_path / "chatty"), chat=True)
    served = serve(right, model="chatty")
    served.count_tokens = tokens_of(entry)
    session = session_of(served, entries=(entry,))
    [found] = session.evaluate("chatty")
    assert all(score.correct for score in found.scores)
    prompts = {body["prompt"] for body in served.asked}
    assert all(p.startswith("<system>") and p.endswith("\n<assistant>") for p in prompts)
    assert BOS not in "".join(prompts)


def test_a_chat_model_without_its_tokenizer_is_skipped_with_what_to_do(
    serve: Callable[..., ModelServer], right: Callable[[str], str], session_of: Callable[..., Session]
) -> None:
    session = session_of(serve(right, model="org/two"), entries=(replace(TWO, chat=True),))
    with pytest.raises(Unavailable, match="tokenizer must be on this machine. Run hf download org/two"):
        session.evaluate("two")


def test_torch_stays_outside(serve: Callable[..., ModelServer], right: Callable[[str], str]) -> None:
    """Loading it would waste seconds and GPU memory."""
    program = (
        "import sys\n"
        "from bench.run import plans\n"
        "from bench.task.examples import evaluation_set\n"
        "from bench.run.options import Options\n"
        "from bench.records import ModelEntry, Suite\n"
        "from bench.run.session import Session\n"
        "from bench.store import Store\n"
        "asked, options = plans.limited(evaluation_set(), 2), Options(engine='server', server=sys.argv[1])\n"
        "plan = plans.Plan(asked, options)\n"
        "suite = Suite('served', {'one': ModelEntry('one', 'nowhere')}, ())\n"
        "[found] = Session(suite, plan, Store(':memory:')).evaluate('one')\n"
        "print(len(found.scores), 'torch' in sys.modules, 'transformers' in sys.modules)"
    )
    command = [sys.executable, "-c", program, serve(right).url]
    said = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert said.stdout.split() == ["14", "False", "False"], said.stderr


@pytest.fixture
def run(pytester: pytest.Pytester) -> Callable[..., pytest.RunResult]:
    """The project's test of the code hypothesis with six examples."""
    (pytester.path / "suite.toml").write_text(SUITE)

    def run(*options: str) -> pytest.RunResult:
        return pytester.runpytest_inprocess(
            f"--rootdir={ROOT}", f"--config-file={ROOT / 'pytest.ini'}", f"--confcutdir={ROOT}",
            "-p", "no:cacheprovider", str(ROOT / "tests" / "hypotheses" / "test_code.py"),
            "--boxes-suite=suite.toml", "--boxes-store=store.sqlite", "--boxes-report-dir=reports",
            "--boxes-limit=6", "--boxes-buckets=ops1plus", "--boxes-engine=server", *options,
        )  # fmt: skip

    return run


def test_a_run_ends_with_a_verdict_and_without_the_key(
    run: Callable[..., pytest.RunResult],
    pytester: pytest.Pytester,
    serve: Callable[..., ModelServer],
    right: Callable[[str], str],
) -> None:
    one, two = serve(wrong), serve(right, "sglang", "org/two")
    result = run(f"--boxes-server={one.url},{two.url}", "--boxes-server-concurrency=4")
    assert result.ret == 0, result.stdout.str()
    assert result.parseoutcomes()["passed"] == 1
    assert one.asked[0]["key"] == f"Bearer {KEY}"
    results = json.loads((pytester.path / "reports" / "latest" / "results.json").read_text())
    assert results["models"]["two"]["engine"] == "server/1 sglang"
    written = [path for path in pytester.path.rglob("*") if path.is_file()]
    assert written and not any(KEY.encode() in path.read_bytes() for path in written)


def test_a_run_with_a_server_at_fault_names_it_and_fails(
    run: Callable[..., pytest.RunResult], serve: Callable[..., ModelServer], right: Callable[[str], str]
) -> None:
    deaf, two = serve(wrong, "deaf"), serve(right, model="two")
    result = run(f"--boxes-server={deaf.url},{two.url}")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([f"*could not be evaluated: the server at {deaf.url} ignores a constraint*"])
    assert "Traceback" not in result.stdout.str()


def test_a_server_that_echoes_the_key_in_all_it_says_puts_it_nowhere(
    run: Callable[..., pytest.RunResult], pytester: pytest.Pytester, serve: Callable[..., ModelServer]
) -> None:
    """Not in the terminal, junit.xml, a report or the store, even with locals and logs shown."""
    one, two = serve(wrong, owner=KEY), serve(wrong, model="two", owner=KEY)
    one.faults.extend([lambda handler, answer: handler.send(401, f"Bearer {KEY}".encode())] * 9)
    result = run(
        f"--boxes-server={one.url},{two.url}", "--junitxml=junit.xml", "--showlocals", "--log-level=DEBUG"
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*could not be evaluated: *answered 401: Bearer [*][*][*]*"])
    assert len(result.outlines) < 40 and KEY not in result.stdout.str() + result.stderr.str()
    assert not any(KEY.encode() in path.read_bytes() for path in pytester.path.rglob("*") if path.is_file())


def test_a_dry_run_says_how_each_model_would_be_asked(
    run: Callable[..., pytest.RunResult], serve: Callable[..., ModelServer]
) -> None:
    served = serve(wrong)
    result = run(f"--boxes-server={served.url}", "--boxes-dry-run")
    result.stdout.fnmatch_lines(["one: is served and would get plain text*", "two: no server has it*"])
    assert not served.asked


@pytest.mark.parametrize(
    ("options", "says"),
    [
        pytest.param(["--boxes-server=127.0.0.1:8000"], "is not a URL. Write http", id="no URL"),
        pytest.param(["--boxes-server=http://me:secret@host/v1"], "has a password", id="a password"),
        pytest.param(["--boxes-server=http://host/v1?key=secret"], "a query", id="a query"),
        pytest.param(["--boxes-server-concurrency=0"], "positive number", id="no request"),
        pytest.param(
            ["--boxes-server=http://host/v1", "--boxes-engine=auto"], "for --boxes-engine=server", id="engine"
        ),
    ],
)
def test_bad_options_are_one_line_and_status_4(
    options: list[str], says: str, run: Callable[..., pytest.RunResult]
) -> None:
    result = run(*options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    [line] = [line for line in result.errlines if line.startswith("ERROR: ")]
    assert says in line and "secret" not in line
