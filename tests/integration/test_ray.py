"""`python -m bench score --ray` on a real cluster of three nodes with simulated GPUs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from bench import ROOT
from bench.models.machine import visible_gpus
from bench.models.suites import load_suite
from bench.records import ModelEntry
from bench.run.leases import gpu_leases
from bench.store import Store

ray = pytest.importorskip("ray", reason="needs pip install -e '.[cluster]'", exc_type=ImportError)
pytestmark = [pytest.mark.nightly, pytest.mark.timeout(1800)]

LIMIT = 96  # enough that no model ends before the slowest node has begun
ROWS = "SELECT key, text, finish_reason, prompt_tokens, token_ids, digest FROM completions ORDER BY key"
OF_MODELS = """
SELECT runs.model, count(*) FROM completions JOIN runs ON runs.number = completions.run GROUP BY runs.model
"""


@contextmanager
def three_nodes() -> Iterator[Any]:
    """A head node with the driver, and two nodes with two GPUs each."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "num_gpus": 0})
    try:
        for _ in range(2):
            cluster.add_node(num_cpus=2, num_gpus=2)
        yield cluster
    finally:
        cluster.shutdown()


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The processes of the nodes and of their tasks."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # as Ray sets it for its tasks


@pytest.fixture
def command(models: dict[str, ModelEntry], tmp_path: Path) -> list[str]:
    """Six models: four embedded models and two with random weights. A batch is one example."""
    embedded = load_suite("embedded").models
    four = {name: embedded[name] for name in ("tiny-base", "tiny-code", "tiny-math", "tiny-tracking")}
    entries = {**four, **models}
    lines = [
        f'[[models]]\nname = "{entry.name}"\npath = "{entry.path}"\ndtype = "float32"'
        for entry in entries.values()
    ]
    (tmp_path / "suite.toml").write_text("\n".join(['name = "six"', *lines]))
    return [
        sys.executable, "-m", "bench", "score", f"--suite={tmp_path / 'suite.toml'}", f"--limit={LIMIT}",
        "--engine=reference", "--batch-size=1",
    ]  # fmt: skip


def progress(path: Path) -> dict[str, int]:
    with closing(Store(path)) as store:
        return dict(store.read(OF_MODELS))


def wait_until(reached: Callable[[], bool], running: subprocess.Popen) -> None:
    while not reached():
        assert running.poll() is None, running.communicate()
        time.sleep(0.2)


def passes(path: Path) -> dict[str, float]:
    """Forward passes of each model's last attempt."""
    with closing(Store(path)) as store:
        return {run["model"]: run["counters"]["forward_passes"] for run in store.runs()}


def test_a_node_killed_in_the_middle_costs_what_was_in_flight(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES", "1")  # this GPU does not exist
    shared, local = tmp_path / "shared.sqlite", tmp_path / "local.sqlite"
    with three_nodes() as cluster:
        over_ray = subprocess.Popen(
            [*command, f"--store={shared}", f"--ray={cluster.address}"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        wait_until(lambda: len(progress(shared)) == 4, over_ray)  # a model on each of the four GPUs
        before = progress(shared)
        assert max(before.values()) < LIMIT, before
        cluster.remove_node(cluster.worker_nodes.copy().pop(), allow_graceful=False)
        said, complained = over_ray.communicate(timeout=1500)
    assert over_ray.returncode == 0, said + complained
    assert said.splitlines()[-1].startswith("6 of 6 models are in the store.")
    subprocess.run([*command, f"--store={local}"], check=True, capture_output=True)
    with closing(Store(shared)) as found, closing(Store(local)) as expected:
        assert found.read(ROWS) == expected.read(ROWS)
        assert len(found.read(ROWS)) == 6 * LIMIT
        assert found.notices == found.problems() == []
    resumed = {name for name, whole in passes(local).items() if passes(shared)[name] < whole}
    assert 1 <= len(resumed) <= 2 and resumed <= set(before)  # no other model was asked twice


def test_a_model_that_no_node_can_run_is_named_and_costs_the_others_nothing(
    command: list[str], tmp_path: Path
) -> None:
    suite = tmp_path / "suite.toml"
    suite.write_text(suite.read_text() + '\n[[models]]\nname = "elsewhere"\nhub = "nobody/has-this"')
    here = [f"--store={tmp_path / 'store.sqlite'}", "--ray=local", "--models=elsewhere,one"]
    result = subprocess.run([*command, *here], capture_output=True, text=True)
    assert result.returncode == 1, result.stderr
    *ended, last = result.stdout.splitlines()
    assert "one: scored" in ended and last.startswith("1 of 2 models are in the store.")
    assert any(line.startswith("elsewhere: cannot run: is not downloaded.") for line in ended)
    assert progress(tmp_path / "store.sqlite") == {"one": LIMIT}


@pytest.mark.parametrize(
    ("address", "says"),
    [
        pytest.param("auto", "--ray auto: no cluster: ", id="no cluster"),
        pytest.param("ray://127.0.0.1:1", "Run this on one of the nodes.", id="not a node"),
    ],
)
def test_a_cluster_that_cannot_be_used_is_one_line(
    address: str, says: str, command: list[str], tmp_path: Path
) -> None:
    here = [f"--store={tmp_path / 'store.sqlite'}", f"--ray={address}"]
    result = subprocess.run([*command, *here], capture_output=True, text=True)
    [line] = result.stderr.splitlines()
    assert result.returncode == 4 and says in line


def lease(seconds: float) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The GPUs that a task sees and leases on its node, while another task does the same."""
    with gpu_leases(visible_gpus(), timeout=60) as leased:
        time.sleep(seconds)
        return visible_gpus(), leased


def test_a_task_leases_the_gpu_that_ray_gives_it(tmp_path: Path) -> None:
    """Both tasks are on one node, and neither waits for the other."""
    ray.init(num_cpus=2, num_gpus=2, log_to_driver=False, logging_level="ERROR")
    try:
        task = ray.remote(num_gpus=1)(lease)
        found = ray.get([task.remote(10), task.remote(10)], timeout=300)
    finally:
        ray.shutdown()
    assert sorted(found) == [(("0",), (0,)), (("1",), (0,))]
    assert os.environ.get("CUDA_VISIBLE_DEVICES") is None
