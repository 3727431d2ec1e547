"""The resources of a cluster task."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from bench.cluster.tasks import gpus_of_task
from bench.run.options import Options
from bench.run.plans import Plan

HEAD, LARGE = {"CPU": 8.0}, {"CPU": 8.0, "GPU": 4.0}


@pytest.mark.parametrize(
    ("changes", "nodes", "gpus"),
    [
        pytest.param({}, [HEAD, LARGE], 1, id="one by default"),
        pytest.param({"gpus_per_worker": 2}, [HEAD, LARGE], 2, id="as asked"),
        pytest.param({"gpus_per_worker": 8}, [LARGE, LARGE], 4, id="no task waits for what no node has"),
        pytest.param({}, [HEAD], 0, id="a cluster without any"),
        pytest.param({"engine": "server"}, [LARGE], 0, id="the server has its own"),
    ],
)
def test_a_task_asks_for_gpus_that_a_node_can_give(
    changes: dict[str, object], nodes: list[dict[str, float]], gpus: int
) -> None:
    gone = {"Resources": {"GPU": 16.0}, "Alive": False}
    cluster = SimpleNamespace(nodes=lambda: [gone, *({"Resources": node, "Alive": True} for node in nodes)])
    assert gpus_of_task(cluster, Plan((), Options(**changes))) == gpus
