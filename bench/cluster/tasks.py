"""Session, model names -> rows in the store. Models run in turn on this machine, or each as a Ray task."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm

from bench.inputs import InputError
from bench.records import Completion, Suite
from bench.run.plans import Plan
from bench.run.progress import added_since, last_number
from bench.run.session import Session, Unavailable
from bench.store import Run, Settings, Store

RETRIES = 5  # of a task after the loss of its node or process
POLL_SECONDS = 2.0


def score(session: Session, name: str) -> str | None:
    """Put every answer of one model into the store. Returns the reason if that fails, else None."""
    try:
        session.evaluate(name)
    except Unavailable as missing:
        return f"cannot run: {missing.args[1]}"
    except Exception as error:  # one failing model must not end the run
        return failure(error)
    return None


def failure(error: Exception) -> str:
    """The error as one line. The type is left out if the user made the mistake."""
    kind = "" if isinstance(error, InputError | OSError) else f"{type(error).__name__}: "
    return f"failed: {kind}{' '.join(str(error).split())}"


class RemoteStore:
    """The driver's store, used from a task. Each batch is on the driver's disk before the next begins.

    keeper: a Ray actor of the class Store.
    """

    path = ":memory:"  # the file is on another machine, so there is nothing to lock here

    def __init__(self, keeper: Any) -> None:
        self.keeper = keeper

    def get(self, keys: Sequence[str]) -> dict[str, Completion]:
        return self.ask("get", keys)

    def add(self, rows: Sequence[tuple[str, Completion]], run: Run) -> int:
        return self.ask("add", rows, run)

    def runs(self, settings: Settings | None = None) -> list[dict[str, Any]]:
        return self.ask("runs", settings)

    def ask(self, method: str, *arguments: object) -> Any:
        """Call a method of the store. Raises the store's own errors."""
        import ray

        try:
            return ray.get(getattr(self.keeper, method).remote(*arguments))
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None


def score_remotely(name: str, suite: Suite, plan: Plan, keeper: Any) -> str | None:
    """One task. It does not repeat answers that an earlier attempt kept."""
    return score(Session(suite, plan, RemoteStore(keeper)), name)  # type: ignore[arg-type]


def score_over_ray(session: Session, names: Sequence[str], address: str) -> Iterator[tuple[str, str | None]]:
    """Yield each finished model with the result of `score`. A bar per model shows its progress.

    A task gets the GPUs of one model, at most those of the largest node. If its node is lost, the task runs
    again elsewhere and only the batch in flight is repeated. Raises ValueError if there is no such cluster.
    """
    with connected(address) as ray:
        keeper = keep_here(ray, session.store)
        given = [ray.put(value) for value in (session.suite, session.plan)]
        task = ray.remote(num_gpus=gpus_of_task(ray, session.plan), max_retries=RETRIES)(score_remotely)
        waiting = {task.remote(name, *given, keeper): name for name in names}
        bars = Bars(session.store, names, len(session.plan.examples))
        while waiting:
            ended, _ = ray.wait(list(waiting), timeout=POLL_SECONDS)
            bars.show()
            for reference in ended:
                name = waiting.pop(reference)
                bars.close(name)
                yield name, result(ray, reference)


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """Ray, connected as a driver on one of the cluster's nodes. "local" starts a cluster on this machine."""
    try:
        import ray
    except ImportError:
        raise InputError(
            "--ray needs ray, which is not installed. Run pip install -e '.[cluster]'."
        ) from None
    if address.startswith("ray://"):
        raise InputError(f"--ray {address}: rows go to this machine's store. Run this on one of the nodes.")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # for a cluster that is started here
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"--ray {address}: no cluster: {reason} Run ray start first, or use --ray local."
        ) from None
    try:
        yield ray
    finally:
        ray.shutdown()


def keep_here(ray: Any, store: Store) -> Any:
    """An actor on the driver's node that holds the store open."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    options = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": -1, "scheduling_strategy": here}
    return ray.remote(Store).options(**options).remote(os.path.abspath(store.path))


def gpus_of_task(ray: Any, plan: Plan) -> int:
    """GPUs requested, capped at the largest node's; a task reports if they are too few. A server needs 0."""
    if plan.options.engine == "server":
        return 0
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return min(plan.options.gpus_per_worker, int(max(node.get("GPU", 0) for node in nodes)))


def result(ray: Any, reference: Any) -> str | None:
    try:
        return ray.get(reference)
    except ray.exceptions.RayError as error:  # every attempt's node or process was lost
        return failure(error)


class Bars:
    """A progress bar for each model, driven by the rows in the store."""

    def __init__(self, store: Store, names: Sequence[str], total: int) -> None:
        self.store, self.start = store, last_number(store)
        self.bars = {name: tqdm(total=total, desc=name, unit="prompt", leave=False) for name in names}

    def show(self) -> None:
        for name, count in added_since(self.store, self.start).items():
            if name in self.bars:
                self.bars[name].update(count - self.bars[name].n)

    def close(self, name: str) -> None:
        self.bars.pop(name).close()
