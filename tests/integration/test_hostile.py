"""A whole run with a server whose models are each hostile in another way: output, store and cost."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest

from bench import ROOT
from bench.decoding import client
from bench.store import Store
from fixtures.hostile import BROKEN, ENDLESS, WRONG, cards
from fixtures.servers import Body, Handler, ModelServer, honest

pytestmark = pytest.mark.nightly
pytest_plugins = ["pytester"]

KEY = "open-sesame"
TIMEOUT = 2.0  # seconds an answer
BEHAVIOURS = {**BROKEN, **ENDLESS, **WRONG}
# A plugin of the run: short times, and the growth of its memory.
SHORT = f"""
import json, pathlib, resource
from bench.decoding import client

client.TIMEOUT, client.LIST_TIMEOUT, client.PAUSES = {TIMEOUT}, {TIMEOUT}, (0.01, 0.01)

def pytest_collection_finish(session):
    pages = pathlib.Path("/proc/self/statm").read_text().split()[1]
    session.config.before = int(pages) * resource.getpagesize() // 1024**2

def pytest_unconfigure(config):
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    pathlib.Path("peak.json").write_text(json.dumps([config.before, peak]))
"""


def suite(names: list[str]) -> str:
    models = "".join(f'[[models]]\nname = "{name}"\npath = "{name}"\n' for name in ["good", *names])
    pairs = (f'[[pairs]]\nhypothesis = "code"\nbase = "good"\nvariant = "{name}"\n' for name in names)
    return f'name = "hostile"\n{models}{"".join(pairs)}'


class Hostile(ModelServer):
    """One server with many models. "good" answers, and each other model does what its name says."""

    def __init__(self, names: list[str], honest_answers: int) -> None:
        super().__init__(lambda prompt: "all boxes are empty")
        self.lists = cards(*({"id": name, "owned_by": "vllm"} for name in ["good", *names]))
        self.behaviours = dict(zip(names, BEHAVIOURS.values(), strict=True))
        self.left = dict.fromkeys(names, honest_answers)
        self.faults.extend([self.behave] * 10_000)

    def answer(self, body: Body) -> dict[str, Any]:
        return super().answer(body) | {"model": body["model"]}

    def behave(self, handler: Handler, content: dict[str, Any]) -> None:
        name = content["model"]
        with self.lock:
            is_honest = self.left.get(name, 1) > 0
            self.left[name] = self.left.get(name, 10_000) - 1
        (honest if is_honest else self.behaviours[name])(handler, content)


@pytest.mark.parametrize("honest_answers", [0, 1], ids=["at once", "after the canary"])
def test_a_run_against_hostile_servers(
    honest_answers: int, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(client.KEY, KEY)
    names = [re.sub("[^a-z0-9]+", "-", name.lower()) for name in BEHAVIOURS]
    server = Hostile(names, honest_answers)
    (pytester.path / "suite.toml").write_text(suite(names))
    (pytester.path / "short.py").write_text(SHORT)
    started = time.monotonic()
    result = pytester.runpytest_subprocess(
        f"--rootdir={ROOT}", f"--config-file={ROOT / 'pytest.ini'}", f"--confcutdir={ROOT}",
        "-p", "no:cacheprovider", "-p", "short", str(ROOT / "tests" / "hypotheses" / "test_code.py"),
        "--boxes-suite=suite.toml", "--boxes-store=store.sqlite", "--boxes-report-dir=reports",
        "--boxes-limit=2", "--boxes-buckets=ops1plus", "--boxes-engine=server", "--boxes-save",
        f"--boxes-server={server.url}", "--boxes-server-concurrency=4",
        "--junitxml=junit.xml", "--showlocals", "--log-level=DEBUG", "-v",
    )  # fmt: skip
    seconds = time.monotonic() - started
    server.die()
    before, peak = json.loads((pytester.path / "peak.json").read_text())
    print(f"{len(names)} hostile servers: {seconds:.0f} s, {peak - before} MB above {before} MB")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert {**result.parseoutcomes(), "deselected": 0} == {"errors": len(names), "deselected": 0}
    told = result.stdout.str() + result.stderr.str()
    assert "Traceback" not in told and "INTERNALERROR" not in told
    assert len(
        re.findall("^E? *good[.][.][a-z0-9-]+ could not be evaluated: the server at", told, re.M)
    ) == len(names)
    assert KEY not in told
    assert not any(KEY.encode() in path.read_bytes() for path in pytester.path.rglob("*") if path.is_file())
    with Store(pytester.path / "store.sqlite") as store:
        assert store.read("SELECT DISTINCT model FROM runs") == [("good",)]
        assert store.read("SELECT count(*) FROM completions") == [(2,)]
    assert peak - before < 200
    assert seconds < 60 + len(names) * 4 * TIMEOUT  # a model: its list, and a canary in three dialects
