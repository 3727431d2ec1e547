import json
import time
import tracemalloc
from itertools import islice

import pytest

from bench.__main__ import main
from bench.records import Scenario
from bench.task.prompts import SHOTS
from bench.task.release import read_release
from bench.task.world import SIZES, generate
from bench.task.write import rows, split_sizes

FIRST = "Box 0 contains the car, Box 1 contains nothing."


def read(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_rows_are_written_as_released():
    scenario = Scenario("s0-0042", (frozenset({"car"}), frozenset()), SHOTS.operations[:1])
    written = [json.loads(row) for row in rows(scenario)]
    assert written[0] == {
        "sentence": f"{FIRST} Box 0 contains the car.",
        "sentence_masked": f"{FIRST} Box 0 contains <extra_id_0> .",
        "masked_content": "<extra_id_0> the car",
        "sample_id": 42,
        "numops": 0,
        "numops_by_op": {"move": 0, "remove": 0, "put": 0},
    }
    assert written[2] == {
        "sentence": f"{FIRST} Remove the car from Box 0. Box 0 contains nothing.",
        "sentence_masked": f"{FIRST} Remove the car from Box 0. Box 0 contains <extra_id_0> .",
        "masked_content": "<extra_id_0> nothing",
        "sample_id": 42,
        "numops": 1,
        "numops_by_op": {"move": 0, "remove": 1, "put": 0},
    }
    assert [row["numops"] for row in written] == [0, 0, 1, 0]


def test_splits_have_the_sizes_asked_for_and_share_no_signature(tmp_path):
    assert main(["generate", "--out", str(tmp_path), "--seed", "3", "--scenarios", "40"]) == 0
    splits = {split: read(tmp_path / f"{split}-t5.jsonl") for split in ("train", "dev", "test")}
    assert {split: len(found) // (13 * 7) for split, found in splits.items()} == {
        "train": 18,
        "dev": 4,
        "test": 18,
    }

    def signatures(found):
        initial = [row["masked_content"].count("the ") for row in found if row["numops"] == 0]
        firsts = {row["sentence"].partition(".")[0] for row in found}
        assert initial
        return {tuple(clause.count("the ") for clause in first.split(", ")) for first in firsts}

    train, dev, test = (signatures(found) for found in splits.values())
    assert not (train & dev or train & test or dev & test)


@pytest.mark.parametrize("version", SIZES)
def test_what_is_written_is_read_back_row_by_row(version, tmp_path):
    assert (
        main(
            ["generate", "--out", str(tmp_path), "--scenarios", "9", "--version", version, "--password", "x"]
        )
        == 0
    )
    size = SIZES[version]
    found = read_release(tmp_path / "boxes-dataset.zip" / "test-t5.jsonl", "x", version=version)
    assert len(found) == 5 * (size.num_operations + 1)
    assert {len(example.queries) for example in found} == {size.num_boxes}
    assert [example.version for example in found] == [version] * len(found)


def test_one_seed_writes_one_data_set(tmp_path):
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        main(["generate", "--out", str(tmp_path / name), "--seed", seed, "--scenarios", "0", "1", "1"])
    written = [(tmp_path / name / "test-t5.jsonl").read_bytes() for name in "abc"]
    assert written[0] == written[1] != written[2]
    assert not (tmp_path / "a" / "train-t5.jsonl").exists()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        pytest.param(["--boxes", "40"], "2 to 10 boxes", id="more boxes than names"),
        pytest.param(["--boxes", "1"], "2 to 10 boxes", id="one box"),
        pytest.param(["--scenarios", "0"], "above 0", id="no scenario"),
        pytest.param(["--scenarios", "1", "2"], "one number or three", id="two numbers"),
    ],
)
def test_options_that_cannot_be_met_are_refused_before_anything_is_written(options, reason, tmp_path, capsys):
    assert main(["generate", "--out", str(tmp_path / "out"), *options]) == 4
    assert reason in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("scenarios", "sizes"),
    [
        pytest.param([2200], {"train": 990, "dev": 220, "test": 990}, id="as published"),
        pytest.param([1], {"train": 0, "dev": 0, "test": 1}, id="one"),
        pytest.param([3, 2, 1], {"train": 3, "dev": 2, "test": 1}, id="each by itself"),
    ],
)
def test_scenarios_are_shared_out_as_published(scenarios, sizes):
    assert split_sizes(scenarios) == sizes


def test_writing_rows_takes_no_more_memory_for_more_scenarios():
    tracemalloc.start()
    for scenario in islice(generate(None, seed=0), 10):
        for _ in rows(scenario):
            pass
    _, early = tracemalloc.get_traced_memory()
    for scenario in islice(generate(None, seed=0), 60):
        for _ in rows(scenario):
            pass
    _, late = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert late < early + 100_000  # bytes


@pytest.mark.nightly
def test_990_scenarios_are_written_within_three_seconds(tmp_path):
    start = time.process_time()
    main(["generate", "--out", str(tmp_path), "--scenarios", "990"])
    assert time.process_time() - start < 3
    assert sum(len(read(path)) for path in tmp_path.iterdir()) == 90_090
