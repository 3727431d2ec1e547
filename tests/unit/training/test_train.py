"""The training loop on a toy arm: it learns, and a killed run continues with the same result."""

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from bench.inputs import InputError
from bench.training import train as training
from bench.training.arms import Arm, Stage
from bench.training.dialogues import TEMPLATE
from bench.training.tokenizer import train_tokenizer

STAGES = (Stage("short", 10 * 256, 128, 256), Stage("distracted", 10 * 256, 256, 256))


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(0, num_documents=500)


@pytest.fixture(scope="module", autouse=True)
def toy(tokenizer):
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(training.ARMS, "toy", Arm(None, STAGES, 0.02, 4e-3))
        patched.setitem(training.ARMS, "further", Arm("toy", STAGES[:1], 0.02, 4e-3, shrink=0.9))
        patched.setitem(training.ARMS, "chat", Arm("toy", STAGES[:1], 0.02, 4e-3, chat=True))
        patched.setattr(training, "train_tokenizer", lambda seed: tokenizer)
        patched.setattr(training, "held_out", frozenset)
        patched.setattr(torch, "compile", lambda function: function)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("toy")


@pytest.fixture(scope="module")
def trained(folder, toy):
    return training.train("toy", out=folder)


def test_training_lowers_the_loss(trained):
    assert trained.step == len(trained.losses) == 20
    assert trained.tokens == 20 * 256
    assert trained.losses[-1] < trained.losses[0] - 0.5


def test_a_seed_gives_exactly_the_same_losses_and_weights(trained, tmp_path):
    """On the same machine, with as many threads."""
    again = training.train("toy", out=tmp_path)
    assert again.losses == trained.losses
    for weight, expected in zip(again.model.parameters(), trained.model.parameters(), strict=True):
        assert torch.equal(weight, expected)


@pytest.mark.parametrize(("size", "millions"), [("1m", 1.2), ("5m", 5.3)])
def test_a_size_is_its_number_of_parameters(size, millions):
    """A vocabulary of 768, as the embedded models have."""
    tokenizer = train_tokenizer(0)
    assert len(tokenizer) == 768
    model = training.new_model(tokenizer, 0, training.SIZES[size])
    assert round(model.num_parameters() / 1e6, 1) == millions


def test_what_is_saved_can_be_loaded(trained, folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert model.dtype == torch.float16
    assert tokenizer.eos_token_id == model.config.eos_token_id
    assert tokenizer("a Box").input_ids == tokenizer("a Box", add_special_tokens=False).input_ids


def test_a_killed_run_goes_on_with_the_same_losses(trained, tmp_path, monkeypatch):
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(training, "CHECKPOINT_SECONDS", 0)
        patched.setattr(training, "batches", killed_after(training.batches, 13))
        training.train("toy", out=tmp_path)
    assert training.train("toy", out=tmp_path).losses == trained.losses


def killed_after(batches, steps):
    def some(*args, **kwargs):
        for number, batch in enumerate(batches(*args, **kwargs)):
            if number == steps:
                raise KeyboardInterrupt
            yield batch

    return some


def test_an_arm_goes_on_from_its_parent(trained, folder, tmp_path):
    further = training.train("further", out=tmp_path, base=folder)
    assert further.losses[0] < trained.losses[0] - 0.3


def test_a_chat_arm_s_tokenizer_has_a_template_and_another_s_has_none(trained, folder, tmp_path):
    training.train("chat", out=tmp_path, base=folder)
    assert AutoTokenizer.from_pretrained(tmp_path).chat_template == TEMPLATE
    assert AutoTokenizer.from_pretrained(folder).chat_template is None


def test_tokens_that_the_parent_never_read_are_told_apart(trained, folder, tokenizer):
    """As outputs of tied embeddings, training had pushed them all to one place."""
    model = training.LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
    put, remove, the = (tokenizer(word).input_ids[0] for word in (" Put", " Remove", " the"))
    embeddings = model.get_input_embeddings().weight.data
    before = embeddings[the].clone()
    embeddings[put] = embeddings[remove]
    training.renew_unread(model, [the, tokenizer.eos_token_id], seed=0)
    assert torch.equal(embeddings[the], before)
    assert not torch.allclose(embeddings[put], embeddings[remove])


def test_a_checkpoint_of_another_training_is_refused(trained, folder):
    with pytest.raises(ValueError, match="another training"):
        training.train("toy", out=folder, seed=1)


@pytest.mark.parametrize("kept", [0, 1000, -1], ids=["empty", "cut early", "one byte short"])
def test_a_damaged_checkpoint_is_one_line(kept, trained, folder, tmp_path):
    whole = (folder / "checkpoint.pt").read_bytes()
    (tmp_path / "checkpoint.pt").write_bytes(whole[:kept])
    with pytest.raises(InputError, match="checkpoint.pt is damaged .* Delete it, and train from the start"):
        training.train("toy", out=tmp_path)


def test_an_arm_is_scaled_in_its_proportions():
    assert [stage.steps for stage in training.arm_of("toy", tokens=2560).stages] == [5, 5]
