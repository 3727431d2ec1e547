"""The model card and the recorded figures."""

import csv
from types import SimpleNamespace

import torch

from bench.records import BUCKETS
from bench.stats import accuracy
from bench.tiny.arms import ARMS
from bench.tiny.card import length_option, record, write_card
from bench.tiny.data import Audit


def test_newly_recorded_figures_replace_the_models_older_ones(tmp_path):
    path = tmp_path / "recorded.csv"
    record("tiny-code", dict.fromkeys(BUCKETS, accuracy(1, 4)), path)
    record("tiny-base", dict.fromkeys(BUCKETS, accuracy(2, 4)), path)
    record("tiny-code", dict.fromkeys(BUCKETS, accuracy(3, 4)), path)
    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    assert [row["model"] for row in rows] == ["tiny-base"] * 8 + ["tiny-code"] * 8
    assert {row["accuracy_percent"] for row in rows} == {"50.00", "75.00"}


def test_a_card_says_what_was_read_and_what_leaked(tmp_path):
    model = torch.nn.Linear(4, 3)
    model.device = torch.device("cpu")
    training = SimpleNamespace(
        model=model, what={"seed": 7}, step=9, tokens=1234, seconds=60.0, losses=[0.5] * 9
    )
    measured = dict.fromkeys(BUCKETS, accuracy(3, 4))
    write_card(tmp_path, "tracking", ARMS["tracking"], training, Audit(10, 20, 0), measured)
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "--seed 7`" in card
    for said in ("15 parameters", "1,234 tokens, seed 7", "0 are an evaluation", "| ops1plus | 75.0 | 4 |"):
        assert said in card


def test_the_command_of_a_card_makes_an_arm_of_that_length():
    arm = ARMS["tracking"].scaled(3_000_000)
    option, tokens = length_option("tracking", arm).split()
    assert option == "--tokens"
    assert ARMS["tracking"].scaled(int(tokens)) == arm
