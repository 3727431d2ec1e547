"""Bad input, one row each: one line and exit status 4, or a skip with its reason. Nothing is lost."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from bench import ROOT
from bench.records import Completion
from bench.store import Run, Settings, Store
from bench.task.prompts import Constraint

pytest_plugins = ["pytester"]

MODELS = """
[[models]]
name = "one"
path = "one"
[[models]]
name = "two"
path = "two"
"""
PAIRS = """
[[pairs]]
hypothesis = "code"
base = "one"
variant = "two"
"""
SUITE = f'name = "random"\n{MODELS}{PAIRS}'
RUN = Run("night", "one", Settings({}, Constraint(".*", 100), "reference/1"))


@pytest.fixture
def place(pytester: pytest.Pytester, random_checkpoints: Path) -> Path:
    """A folder after a good run: a suite, a store with a row, a report."""
    for name in ("one", "two"):
        shutil.copytree(random_checkpoints / name, pytester.path / name)
    (pytester.path / "suite.toml").write_text(SUITE)
    with Store(pytester.path / "store.sqlite") as store:
        store.add([("key", Completion("kept", "stop", 1))], RUN)
    (pytester.path / "reports" / "last").mkdir(parents=True)
    (pytester.path / "reports" / "last" / "report.md").write_text("the last report")
    (pytester.path / "reports" / "latest").symlink_to("last")
    return pytester.path


def run(pytester: pytest.Pytester, *options: str) -> pytest.RunResult:
    return pytester.runpytest_inprocess(
        f"--rootdir={ROOT}", f"--config-file={ROOT / 'pytest.ini'}", f"--confcutdir={ROOT}",
        "-p", "no:cacheprovider", str(ROOT / "tests" / "hypotheses" / "test_code.py"),
        "--boxes-suite=suite.toml", "--boxes-store=store.sqlite", "--boxes-report-dir=reports",
        "--boxes-limit=2", *options,
    )  # fmt: skip


def refuse(pytester: pytest.Pytester, place: Path, says: str, *options: str) -> None:
    """One line names the mistake, and nothing is lost."""
    result = run(pytester, *options)
    errors = [line for line in result.errlines if line.startswith("ERROR: ")]
    assert result.ret == pytest.ExitCode.USAGE_ERROR, result.stdout.str()
    assert len(errors) == 1 and says in errors[0], result.errlines
    assert "Traceback" not in result.stderr.str()
    assert_kept(place)


def assert_kept(place: Path) -> None:
    with Store(place / "store.sqlite") as store:
        assert store.get(["key"])["key"].text == "kept" and store.problems() == store.notices == []
    assert (place / "reports" / "latest" / "report.md").read_text() == "the last report"
    assert sorted(path.name for path in (place / "reports").iterdir()) == ["last", "latest"]


def model(**fields: object) -> str:
    """A suite whose third model has these fields."""
    lines = "\n".join(f"{key} = {json.dumps(value)}" for key, value in fields.items())
    return f"{SUITE}\n[[models]]\n{lines}\n"


def third(**fields: object) -> str:
    return model(name="x", path="one", **fields)


def pair(**fields: object) -> str:
    fields = {"hypothesis": "code", "base": "two", "variant": "one", **fields}
    lines = "\n".join(f"{key} = {json.dumps(value)}" for key, value in fields.items())
    return f"{SUITE}\n[[pairs]]\n{lines}\n"


@pytest.mark.parametrize(
    ("suite", "says"),
    [
        pytest.param("name = ", "cannot be read as TOML", id="not TOML"),
        pytest.param("", "name is missing", id="empty"),
        pytest.param(MODELS, "name is missing", id="no name"),
        pytest.param('name = "x"', "models is missing", id="no models"),
        pytest.param('name = "x"\nmodels = 3', "models: expected a list", id="models is a number"),
        pytest.param('name = "x"\nmodels = [3]', "expected a table of keys", id="a model is a number"),
        pytest.param(f'nmae = "x"\n{SUITE}', "unknown key 'nmae'. Did you mean 'name'?", id="misspelt key"),
        pytest.param(f"{SUITE}[pairs]\n", "cannot be read as TOML", id="pairs twice"),
        pytest.param(f'name = "x"\npairs = 1\n{MODELS}', "pairs: expected a list", id="pairs is a number"),
        pytest.param(model(path="one"), "name is missing", id="model without a name"),
        pytest.param(model(name="", path="one"), "has other characters than", id="empty name"),
        pytest.param(model(name="a b", path="one"), "has other characters than", id="name with a space"),
        pytest.param(model(name="org/llama", path="one"), "Write 'org-llama'.", id="name with a slash"),
        pytest.param(model(name="../../x", path="one"), "has other characters than", id="name is a path"),
        pytest.param(model(name="<script>", path="one"), "has other characters than", id="name is HTML"),
        pytest.param(model(name="a|b", path="one"), "has other characters than", id="name breaks a table"),
        pytest.param(model(name="\x1b[31m", path="one"), "has other characters than", id="name is ANSI"),
        pytest.param(model(name="=cmd()", path="one"), "has other characters than", id="name is a formula"),
        pytest.param(model(name="one", path="one"), "'one' appears twice", id="model twice"),
        pytest.param(model(name="x"), "give either path", id="neither path nor hub"),
        pytest.param(third(hub="a/b"), "give either path", id="path and hub"),
        pytest.param(model(name="x", hub="../../x"), "is not a model id", id="hub is a path"),
        pytest.param(model(name="x", hub="a/<script>"), "is not a model id", id="hub is HTML"),
        pytest.param(model(name="x", hub="a/b\x1b[31m"), "is not a model id", id="hub is ANSI"),
        pytest.param(model(name="x", path=7), "path: expected a string", id="path is a number"),
        pytest.param(third(dtyp="auto"), "Did you mean 'dtype'?", id="misspelt field"),
        pytest.param(third(dtype="int3"), "'int3' is not one of", id="dtype"),
        pytest.param(third(quantization="2bit"), "'2bit' is not one of", id="quantization"),
        pytest.param(third(chat="yes"), "chat: expected true or false", id="chat is a word"),
        pytest.param(third(parameters=-7), "expected a number above 0", id="parameters"),
        pytest.param(third(parameters="7B"), "expected a number", id="parameters in words"),
        pytest.param(third(memory_gb=0), "expected a number above 0", id="no memory"),
        pytest.param(third(memory_gb=True), "expected a number", id="memory is true"),
        pytest.param(
            model(name="x", hub="a/b", trust_remote_code=True), "Set revision to a commit", id="any code"
        ),
        pytest.param(pair(base="three"), "no model 'three' here", id="base is not there"),
        pytest.param(pair(variant="Two"), "Did you mean 'two'?", id="variant is misspelt"),
        pytest.param(pair(base="one"), "base and variant are both 'one'", id="a model beside itself"),
        pytest.param(pair(base="one", variant="two"), "appears twice", id="pair twice"),
        pytest.param(pair(hypothesis="chess game"), "hypothesis", id="hypothesis"),
        pytest.param(pair(control="neutral"), "'neutral' is not one of", id="control"),
        pytest.param(f'recorded = "no.csv"\n{SUITE}', "no.csv cannot be read", id="no recorded figures"),
        pytest.param(f'recorded = "suite.toml"\n{SUITE}', "cannot be read as", id="figures are no CSV"),
    ],
)
def test_a_bad_suite_is_refused_in_one_line(
    suite: str, says: str, place: Path, pytester: pytest.Pytester
) -> None:
    (place / "suite.toml").write_text(suite)
    refuse(pytester, place, says)


def of_another_program(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE people (name TEXT)")


def newer(path: Path) -> None:
    Store(path).close()
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 99")


def put_in(place: Path) -> None:
    """Files that a user may give to an option by mistake."""
    (place / "text").write_text("not what it should be\n" * 100)
    (place / "latin.toml").write_bytes("name = 'na\xefve'".encode("latin-1"))
    of_another_program(place / "people.sqlite")
    newer(place / "newer.sqlite")
    with zipfile.ZipFile(place / "empty.zip", "w"):
        pass
    with zipfile.ZipFile(place / "other.zip", "w") as archive:
        archive.writestr("few_shot_boxes_nso_exp2_max3/test-subsample-states-t5.jsonl", "{}\n")


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("--boxes-suite=nowhere", "unknown suite 'nowhere'"),
        ("--boxes-suite=nowhere.toml", "no suite file nowhere.toml"),
        ("--boxes-suite=text", "cannot be read as TOML"),
        ("--boxes-suite=latin.toml", "latin.toml is not text in UTF-8"),
        ("--boxes-suite=one", "one"),
        ("--boxes-suite=", "suite"),
        ("--boxes-models=gpt", "unknown model 'gpt'"),
        ("--boxes-model-args=dtype", "Write field=value"),
        ("--boxes-model-args=colour=red", "unknown key 'colour'. Choose from"),
        ("--boxes-model-args=path=two", "unknown key 'path'"),
        ("--boxes-model-args=dtype=int3", "int3"),
        ("--boxes-buckets=ops9", "unknown bucket 'ops9'"),
        ("--boxes-buckets=", "unknown bucket ''"),
        ("--boxes-protocol=loose", "unknown protocol 'loose'"),
        ("--boxes-engine=warp", "unknown engine 'warp'"),
        ("--boxes-version=klingon", "unknown version of the task 'klingon'"),
        ("--boxes-batch-size=0", "neither a positive number nor auto"),
        ("--boxes-batch-size=-1", "neither a positive number nor auto"),
        ("--boxes-batch-size=many", "neither a positive number nor auto"),
        ("--boxes-pack-tokens=1.5", "neither a positive number nor auto"),
        ("--boxes-gpus-per-worker=0", "neither a positive number nor auto"),
        ("--boxes-limit=0", "leaves no example"),
        ("--boxes-limit=-3", "leaves no example"),
        ("--boxes-dataset=wikipedia", "unknown data set 'wikipedia'"),
        ("--boxes-dataset=release:absent.zip", "no data set at absent.zip"),
        ("--boxes-dataset=release:text", "cannot read"),
        ("--boxes-dataset=release:one", "one"),
        ("--boxes-dataset=release:empty.zip", "has no member"),
        ("--boxes-dataset=release:other.zip", "row 1 of the data set"),
        ("--boxes-store=one", "is a folder, not a store"),
        ("--boxes-store=text", "is not a store of completions"),
        ("--boxes-store=people.sqlite", "is not a store of completions"),
        ("--boxes-store=newer.sqlite", "has schema 99"),
        ("--boxes-store=text/store.sqlite", "cannot open the store"),
        ("--boxes-report-dir=text", "cannot write reports"),
        ("--boxes-report-dir=text/reports", "cannot write reports"),
        ("--boxes-wait=-1", "--boxes-wait"),
    ],
)
def test_a_bad_option_is_refused_in_one_line(
    option: str, says: str, place: Path, pytester: pytest.Pytester
) -> None:
    put_in(place)
    refuse(pytester, place, says, option)


def latest_is_a_folder(place: Path) -> None:
    (place / "mine" / "latest").mkdir(parents=True)


def saved_is_a_file(place: Path) -> None:
    (place / "mine").mkdir()
    (place / "mine" / "saved").touch()


def history_is_a_folder(place: Path) -> None:
    (place / "mine" / "history.html").mkdir(parents=True)


@pytest.mark.parametrize(
    ("make", "option", "says"),
    [
        pytest.param(latest_is_a_folder, "", "latest is not a link made by a run", id="latest"),
        pytest.param(saved_is_a_file, "--boxes-save=x", "saved is not a folder", id="saved"),
        pytest.param(history_is_a_folder, "--boxes-save=x", "history.html is not a file", id="history"),
        pytest.param(lambda place: None, f"--boxes-save={'x' * 300}", "cannot save a run as", id="long name"),
    ],
)
def test_what_the_end_of_a_run_needs_is_checked_at_its_start(
    make: Callable[[Path], None], option: str, says: str, place: Path, pytester: pytest.Pytester
) -> None:
    make(place)
    refuse(pytester, place, says, "--boxes-report-dir=mine", *filter(None, [option]))


@pytest.mark.parametrize("option", ["--boxes-limit=x", "--boxes-seed=x", "--boxes-wait=x", "--boxes-sweet=1"])
def test_pytest_itself_refuses_what_is_not_a_number_or_no_option(
    option: str, place: Path, pytester: pytest.Pytester
) -> None:
    result = run(pytester, option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert option.partition("=")[0] in result.stderr.str()
    assert_kept(place)


def write(name: str, text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(text)


def remove(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


def only_pickles(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def missing_shard(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    index = {"weight_map": {"lm_head.weight": "model-00001-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def pickled_shards(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    index = {"metadata": {}, "weight_map": {"lm_head.weight": "pytorch_model.bin"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def shards_elsewhere(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder.parent / "stray.safetensors")
    index = {"metadata": {}, "weight_map": {"lm_head.weight": "../stray.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def named_in_config(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"transformers_weights": "adapter_model.bin"}))


def bad_index(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text("[]")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        pytest.param(shutil.rmtree, "no folder", id="no folder"),
        pytest.param(remove("model.safetensors"), "no model.safetensors", id="no weights"),
        pytest.param(only_pickles, "only pickled weights", id="pickles"),
        pytest.param(missing_shard, "model-00001-of-00002.safetensors is missing", id="a shard is missing"),
        pytest.param(pickled_shards, "'pytorch_model.bin', which is not a safetensors", id="pickled shards"),
        pytest.param(shards_elsewhere, "which is not in its folder", id="shards elsewhere"),
        pytest.param(named_in_config, "transformers_weights: 'adapter_model.bin'", id="weights by config"),
        pytest.param(bad_index, "index.json: expected a table of keys", id="index of weights"),
        pytest.param(write("model.safetensors", "text"), "is damaged", id="weights are no weights"),
        pytest.param(lambda at: os.truncate(at / "model.safetensors", 999), "is damaged", id="cut weights"),
        pytest.param(remove("config.json"), "config.json is missing", id="no config"),
    ],
)
def test_a_bad_checkpoint_is_refused_in_one_line(
    spoil: Callable[[Path], object], says: str, place: Path, pytester: pytest.Pytester
) -> None:
    spoil(place / "two")
    refuse(pytester, place, says)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"path": "two", "memory_gb": 80}, "needs a GPU, but none is visible"),
        ({"path": "two", "quantization": "8bit"}, "needs a GPU, but none is visible"),
        ({"hub": "nobody/nothing"}, "is not downloaded. Run hf download nobody/nothing"),
    ],
    ids=["no GPU", "no GPU for 8 bits", "not downloaded"],
)
def test_what_this_machine_cannot_run_is_skipped_by_name(
    fields: dict[str, object],
    says: str,
    place: Path,
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    lines = "\n".join(f"{key} = {json.dumps(value)}" for key, value in fields.items())
    (place / "suite.toml").write_text(SUITE.replace('path = "two"', lines))
    result = run(pytester, "-rs", "--boxes-buckets=ops1plus")
    assert result.ret in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
    assert f"two: {says}" in result.stdout.str()
    with Store(place / "store.sqlite") as store:
        assert "key" in store.get(["key"])
