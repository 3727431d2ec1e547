"""Real faults, caused on purpose, and the suite's promises about them."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.records import Completion, ModelEntry, Suite
from bench.run.evaluate import settings_of
from bench.run.leases import model_lock
from bench.run.plans import Plan
from bench.run.session import Session
from bench.store import Run, Settings, Store

WORKERS = multiprocessing.get_context(
    "forkserver"
)  # a fork of this process, in which torch has computed, may hang
WORKERS.set_forkserver_preload(["bench.run.session", "bench.models.loading", "transformers.models.llama"])

FILL = """
import resource, sys
from pathlib import Path
from bench.task.prompts import Constraint
from bench.records import Completion
from bench.store import Run, Settings, Store

folder, limit = Path(sys.argv[1]), int(sys.argv[2])
run = Run("night", "tiny", Settings({}, Constraint(".*", 100), "reference/1"))
answer = Completion("x" * 1000, "stop", 1)
ballast = folder / "ballast"
ballast.write_bytes(bytes(500_000))
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

kept = []
try:
    with Store(folder / "store.sqlite") as store:
        for number in range(10_000):
            store.add([(str(number), answer)], run)
            kept.append(str(number))
except OSError as error:
    print(error)

ballast.unlink()
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
with Store(folder / "store.sqlite") as store:
    assert store.get(kept) == dict.fromkeys(kept, answer)
    assert not store.notices and not store.problems()
    store.add([("afterwards", answer)], run)
print(len(kept), "kept")
"""


def fill(folder: Path, limit: int, *prefix: str) -> str:
    """Fill a store until it is full, free space, and check its contents."""
    command = [*prefix, sys.executable, "-c", FILL, str(folder), str(limit)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_a_full_disk_is_one_line_and_loses_nothing(tmp_path: Path) -> None:
    """A file system of 2 MB, in a mount namespace of its own."""
    mount = ["unshare", "--map-root-user", "--mount"]
    if not shutil.which("unshare") or subprocess.run([*mount, "true"], capture_output=True).returncode:
        pytest.skip("this system lets no user mount a file system")
    small = f'mount -t tmpfs -o size=2m none {tmp_path} && exec "$@"'
    said, kept = fill(tmp_path, 0, *mount, "sh", "-c", small, "sh").splitlines()
    assert "database or disk is full. The stored rows are intact. Free some space" in said
    assert int(kept.split()[0]) > 50


def test_a_quota_is_one_line_and_loses_nothing(tmp_path: Path) -> None:
    said, kept = fill(tmp_path, 1_000_000).splitlines()
    assert "The stored rows are intact. Free some space" in said
    assert int(kept.split()[0]) > 50


def edit_weights(source: Path, target: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """A copy of a checkpoint with changed tensors."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(source, target)
    tensors = load_file(target / "model.safetensors")
    change(tensors)
    save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})
    return target


def write_tokenizer_without(letter: str, folder: Path) -> None:
    """A tokenizer of single characters, with all except one that answers need."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    known = (character for character in map(chr, range(32, 127)) if character != letter)
    vocabulary = {token: index for index, token in enumerate(["<eos>", "<unk>", *known])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    special = {"eos_token": "<eos>", "unk_token": "<unk>"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(folder)


def poison(tensors: dict[str, Any]) -> None:
    tensors["lm_head.weight"][5] = float("nan")


def lose(tensors: dict[str, Any]) -> None:
    del tensors["model.layers.0.mlp.up_proj.weight"]


def misshape(tensors: dict[str, Any]) -> None:
    tensors["model.norm.weight"] = tensors["model.norm.weight"][:7].clone()


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        pytest.param(poison, FloatingPointError, "logits that are not finite", id="non-finite logits"),
        pytest.param(lose, ValueError, "the checkpoint lacks model.layers.0.mlp.up", id="missing tensor"),
        pytest.param(misshape, ValueError, "has the wrong shape for model.norm.weight", id="other shape"),
    ],
)
def test_a_broken_checkpoint_fails_alone_and_keeps_no_answer(
    change: Callable[[dict[str, Any]], object],
    error: type[Exception],
    says: str,
    session_of: Callable[..., Session],
    models: dict[str, ModelEntry],
    tmp_path: Path,
) -> None:
    folder = edit_weights(Path(models["one"].path), tmp_path / "broken", change)
    session = session_of(":memory:", broken=ModelEntry("broken", str(folder)))
    with pytest.raises(error, match=says):
        session.evaluate("broken")
    assert session.store.runs() == []
    assert session.evaluate("two")[0].model == "two"


def test_a_cut_checkpoint_is_refused_before_it_is_loaded(
    session_of: Callable[..., Session], models: dict[str, ModelEntry], tmp_path: Path
) -> None:
    folder = tmp_path / "cut"
    shutil.copytree(models["one"].path, folder)
    os.truncate(folder / "model.safetensors", 1000)
    with pytest.raises(ValueError, match="model cut: .*is damaged"):
        session_of(":memory:", cut=ModelEntry("cut", str(folder))).evaluate("cut")


def test_a_tokenizer_that_cannot_write_a_right_answer_is_refused(
    session_of: Callable[..., Session], models: dict[str, ModelEntry], tmp_path: Path
) -> None:
    folder = tmp_path / "mute"
    shutil.copytree(models["one"].path, folder)
    write_tokenizer_without("6", folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 8192}))
    with pytest.raises(ValueError, match="model mute: .*cannot write a right answer"):
        session_of(":memory:", mute=ModelEntry("mute", str(folder))).evaluate("mute")


def test_a_cut_answer_is_counted_and_wrong_where_it_was_not_read(session_of: Callable[..., Session]) -> None:
    """The random models write until they are cut. None of their queries is left out."""
    session = session_of(":memory:")
    [evaluation] = session.evaluate("one")
    assert evaluation.forms["cut"] == len(session.plan.examples)
    assert len(evaluation.scores) == 7 * len(session.plan.examples)
    assert {score.error for score in evaluation.scores if score.box > 0} == {"unread"}


@pytest.fixture
def small_memory(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[int]]:
    """Makes every forward pass with more rows run out of memory. Returns the rows of each pass."""
    import torch
    from transformers import LlamaForCausalLM

    forward = LlamaForCausalLM.forward

    def limit(rows: int) -> list[int]:
        asked: list[int] = []

        def limited(self: Any, input_ids: Any = None, **others: Any) -> Any:
            asked.append(len(input_ids))
            if len(input_ids) > rows:
                raise torch.OutOfMemoryError("tried to allocate 2.00 GiB")
            return forward(self, input_ids=input_ids, **others)

        monkeypatch.setattr(LlamaForCausalLM, "forward", limited)
        return asked

    return limit


def test_a_batch_that_does_not_fit_is_halved_until_it_does(
    session_of: Callable[..., Session], small_memory: Callable[[int], list[int]]
) -> None:
    [whole] = session_of(":memory:").evaluate("one")
    asked = small_memory(1)
    session = session_of(":memory:")
    session.plan = replace(session.plan, options=replace(session.plan.options, batch_size="4"))
    [halved] = session.evaluate("one")
    assert asked[0] == 4 and set(asked) == {4, 2, 1}
    assert halved.completions == whole.completions


def test_a_model_that_never_fits_fails_alone_and_by_name(
    session_of: Callable[..., Session], small_memory: Callable[[int], list[int]], tmp_path: Path
) -> None:
    session = session_of(tmp_path / "store.sqlite")
    session.evaluate("two")
    small_memory(0)
    with pytest.raises(Exception, match="allocate 2.00 GiB"):
        session.evaluate("one", "two")
    results = session.results([session.suite.pairs], {})
    assert list(results.evaluations) == ["two"]
    assert "allocate 2.00 GiB" in results.skipped["one"]


def pad(copies: int) -> Callable[[dict[str, Any]], None]:
    """Makes a checkpoint larger, and so a different model with the same answers."""

    def change(tensors: dict[str, Any]) -> None:
        tensors |= {f"unused.{number}": tensors["lm_head.weight"].clone() for number in range(copies)}

    return change


@pytest.fixture
def four(models: dict[str, ModelEntry], tmp_path: Path) -> dict[str, ModelEntry]:
    """Models "one" to "four", each larger than the one before."""
    names = ("one", "two", "three", "four")
    return {
        name: ModelEntry(name, str(edit_weights(Path(models["one"].path), tmp_path / name, pad(copies))))
        for copies, name in enumerate(names)
    }


def count_loads(suite: Suite, plan: Plan, store: Path, log: Path) -> None:
    """The work of one of several workers: each model that its cases need."""
    from bench import models

    load = models.load

    def load_and_tell(entry: ModelEntry, *rest: Any) -> models.LoadedModel:
        with log.open("a") as file:
            file.write(f"{entry.name}\n")
        return load(entry, *rest)

    models.load = load_and_tell
    Session(suite, plan, Store(store), shared=list(suite.models)).evaluate(*suite.models)


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_four_models_are_loaded_once_each_however_many_workers_ask(
    workers: int, session_of: Callable[..., Session], four: dict[str, ModelEntry], tmp_path: Path
) -> None:
    log, asked = tmp_path / "loads", session_of(":memory:", **four)
    run_workers(workers, count_loads, asked.suite, asked.plan, tmp_path / "store.sqlite", log)
    assert sorted(log.read_text().split()) == ["four", "one", "three", "two"]


def run_workers(workers: int, work: Callable[..., object], *arguments: object) -> None:
    processes = [WORKERS.Process(target=work, args=arguments) for _ in range(workers)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * workers


def script(patch: pytest.MonkeyPatch, seconds: dict[str, float], log: Path) -> None:
    """Models that take some seconds and give no answers. A log line has process, model and seconds."""

    def decode(
        entry: ModelEntry, plan: Plan, store: Store, candidates: Sequence[Settings], listener: object
    ) -> None:
        time.sleep(seconds[entry.name])
        keys = plan.keys(candidates[0]).values()
        run = Run(plan.run_id, entry.name, candidates[0])
        store.add([(key, Completion("", "stop", 1)) for key in keys], run)
        with log.open("a") as file:
            file.write(f"{os.getpid()} {entry.name} {seconds[entry.name]}\n")

    patch.setattr("bench.run.evaluate.decode", decode)


def test_a_waiting_worker_takes_another_model_first_and_the_largest_of_them(
    session_of: Callable[..., Session],
    four: dict[str, ModelEntry],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """ "one" is locked elsewhere. A worker evaluates all other free models before it waits for "one"."""
    log, store = tmp_path / "log", tmp_path / "store.sqlite"
    script(monkeypatch, dict.fromkeys(four, 0.0), log)
    alone, worker = (session_of(store, **four) for _ in range(2))
    worker.shared = list(four)
    [settings, *_] = settings_of(four["one"], worker.plan)
    with model_lock(store, settings.digest, timeout=0):
        for session, wait in ((alone, 0.0), (worker, 0.3)):
            session.plan = replace(session.plan, options=replace(session.plan.options, wait=wait))
            with pytest.raises(TimeoutError):
                session.evaluate("one", "two")
    taken = [line.split()[1] for line in log.read_text().splitlines()]
    assert taken == ["two", "four", "three"]  # a single worker does only its own work
    assert (
        f"one: waiting up to 1 s: this model is held by process {os.getpid()} on" in capsys.readouterr().err
    )


def test_who_waits_for_a_model_holds_no_gpu(
    session_of: Callable[..., Session],
    models: dict[str, ModelEntry],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    leased: list[str] = []
    monkeypatch.setattr("bench.run.start.gpu_leases", lambda *_: leased.append("a GPU"))
    session = session_of(tmp_path / "store.sqlite")
    session.plan = replace(session.plan, options=replace(session.plan.options, wait=0.1))
    [settings, *_] = settings_of(models["one"], session.plan)
    with model_lock(session.store.path, settings.digest, timeout=0), pytest.raises(TimeoutError):
        session.evaluate("one")
    assert leased == []


def evaluate_in_pairs(suite: Suite, plan: Plan, store: Path, order: Sequence[str], log: Path) -> None:
    """The work of a worker whose cases all need a pair with the first model."""
    with pytest.MonkeyPatch.context() as patch:
        script(patch, dict(zip(("one", "two", "three", "four"), (2.0, 4.0, 6.0, 8.0), strict=True)), log)
        session = Session(suite, plan, Store(store), shared=order)
        for name in order[1:]:
            session.evaluate(order[0], name)


@pytest.mark.nightly
@pytest.mark.parametrize("order", [("one", "two", "three", "four"), ("four", "three", "two", "one")])
def test_two_workers_wait_for_less_than_a_fifth_of_the_run(
    order: tuple[str, ...],
    session_of: Callable[..., Session],
    four: dict[str, ModelEntry],
    tmp_path: Path,
) -> None:
    """Models of 2, 4, 6 and 8 seconds: 10 seconds per worker without waiting. Every case needs a pair."""
    log, asked = tmp_path / "log", session_of(":memory:", **four)
    run_workers(1, evaluate_nothing, asked.suite)  # import time of the workers is not waiting time
    start = time.monotonic()
    run_workers(2, evaluate_in_pairs, asked.suite, asked.plan, tmp_path / "store.sqlite", order, log)
    whole = time.monotonic() - start
    busy: dict[str, float] = {}
    for process, _, seconds in map(str.split, log.read_text().splitlines()):
        busy[process] = busy.get(process, 0.0) + float(seconds)
    assert sum(busy.values()) == 20.0  # each model once
    assert len(busy) == 2 and min(busy.values()) > 0.8 * whole


def evaluate_nothing(suite: Suite) -> None:
    assert suite.models
