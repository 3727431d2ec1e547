"""The training loop on a toy arm: it learns, and a killed run goes on as if nothing had happened."""

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from bench.tiny import train as training
from bench.tiny.arms import Arm, Stage


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    arm = Arm(None, (Stage("short", 10 * 512, 128, 512), Stage("distracted", 10 * 512, 256, 512)), 0.02, 4e-3)
    monkeypatch.setitem(training.ARMS, "toy", arm)
    monkeypatch.setitem(training.ARMS, "further", Arm("toy", arm.stages[:1], 0.02, 4e-3))
    monkeypatch.setattr(training, "held_out", frozenset)
    monkeypatch.setattr(torch, "compile", lambda function: function)


def test_training_lowers_the_loss_and_saves_a_loadable_model(tmp_path):
    done = training.train("toy", out=tmp_path)
    assert done.step == len(done.losses) == 20
    assert done.tokens == 20 * 512
    assert done.losses[-1] < done.losses[0] - 1
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    model = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert model.dtype == torch.float16
    assert tokenizer.eos_token_id == model.config.eos_token_id
    assert tokenizer("a Box").input_ids == tokenizer("a Box", add_special_tokens=False).input_ids


def test_a_killed_run_goes_on_with_the_same_losses(tmp_path, monkeypatch):
    whole = training.train("toy", out=tmp_path / "whole")
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 0)
    monkeypatch.setattr(training, "batches", killed_after(training.batches, 13))
    with pytest.raises(KeyboardInterrupt):
        training.train("toy", out=tmp_path / "killed")
    monkeypatch.undo()
    resumed = training.train("toy", out=tmp_path / "killed")
    assert resumed.losses == whole.losses


def killed_after(batches, steps):
    def some(*args, **kwargs):
        for number, batch in enumerate(batches(*args, **kwargs)):
            if number == steps:
                raise KeyboardInterrupt
            yield batch

    return some


def test_an_arm_goes_on_from_its_parent(tmp_path):
    parent = training.train("toy", out=tmp_path / "toy")
    further = training.train("further", out=tmp_path / "further", base=tmp_path / "toy")
    assert further.losses[0] < parent.losses[0] - 1


def test_a_checkpoint_of_another_training_is_refused(tmp_path):
    training.train("toy", out=tmp_path)
    with pytest.raises(ValueError, match="another training"):
        training.train("toy", out=tmp_path, seed=1)


def test_an_arm_is_scaled_in_its_proportions():
    arm = training.arm_of("toy", tokens=5120)
    assert [stage.steps for stage in arm.stages] == [5, 5]
