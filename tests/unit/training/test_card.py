"""The model card and the recorded figures."""

import csv
from types import SimpleNamespace

import torch

from bench.proportions import accuracy
from bench.records import BUCKETS
from bench.training.arms import ARMS
from bench.training.card import record, write_card
from bench.training.data import LeakCheck


def test_newly_recorded_figures_replace_the_models_older_ones(tmp_path):
    path = tmp_path / "recorded.csv"
    record("tiny-code", dict.fromkeys(BUCKETS, accuracy(1, 4)), path)
    record("tiny-base", dict.fromkeys(BUCKETS, accuracy(2, 4)), path)
    record("tiny-code", dict.fromkeys(BUCKETS, accuracy(3, 4)), path)
    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    assert [row["model"] for row in rows] == ["tiny-base"] * 8 + ["tiny-code"] * 8
    assert {row["accuracy_percent"] for row in rows} == {"50.00", "75.00"}


def written(folder, tokens=None, arm="tracking"):
    model = torch.nn.Linear(4, 3)
    model.device = torch.device("cpu")
    training = SimpleNamespace(
        model=model, what={"seed": 7, "size": "5m"}, step=9, tokens=1234, seconds=60.0, losses=[0.5] * 9
    )
    measured = dict.fromkeys(BUCKETS, accuracy(3, 4))
    write_card(folder, arm, tokens, training, LeakCheck(10, 20, 0), measured)
    return (folder / "README.md").read_text(encoding="utf-8")


def test_a_card_says_what_was_read_and_what_leaked(tmp_path):
    card = written(tmp_path)
    assert "--seed 7`" in card
    for said in ("15 parameters", "1,234 tokens, seed 7", "0 are an evaluation", "| ops1plus | 75.0 | 4 |"):
        assert said in card


def test_the_card_of_a_shorter_arm_has_its_length_in_the_command_and_the_stages(tmp_path):
    card = written(tmp_path, tokens=3_000_000)
    assert "--seed 7 --tokens 3000000`" in card
    assert f"| {ARMS['tracking'].scaled(3_000_000).stages[0].steps} |" in card


def test_the_card_of_a_model_from_scratch_has_its_size_in_the_command(tmp_path):
    assert "--arm base --seed 7 --size 5m`" in written(tmp_path, arm="base")
    assert "--size" not in written(tmp_path, arm="code")
