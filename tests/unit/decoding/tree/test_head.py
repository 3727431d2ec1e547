"""A part of the output layer gives the same logits as the whole layer, which is not changed."""

import pytest
import torch

from bench.decoding.tree.attention import narrowed

TOKENS = torch.tensor([3, 5, 250])
NARROW = torch.tensor([True, False, True])


@pytest.fixture(params=["llama", "phi"])
def model(request, random_model):
    """Phi's output layer has a bias."""
    return random_model(request.param)


@torch.inference_mode()
def logits_of(model):
    return model(input_ids=torch.tensor([[1, 2, 3]])).logits[0]


def test_asked_logits_are_those_of_the_whole_layer(model):
    whole = logits_of(model)
    with narrowed(model, NARROW, TOKENS):
        part = logits_of(model)
    torch.testing.assert_close(part[1], whole[1])
    torch.testing.assert_close(part[NARROW][:, TOKENS], whole[NARROW][:, TOKENS])
    others = [token for token in range(whole.shape[1]) if token not in TOKENS]
    assert part[NARROW][:, others].max() < whole.min()
    assert torch.isfinite(part).all()
    assert torch.equal(logits_of(model), whole)


def test_the_layer_is_mended_after_an_error(model):
    whole = logits_of(model)
    with pytest.raises(IndexError), narrowed(model, NARROW[:2], TOKENS):
        logits_of(model)
    assert torch.equal(logits_of(model), whole)


def test_little_to_leave_out_is_not_left_out(model):
    whole = logits_of(model)
    with narrowed(model, NARROW, torch.arange(whole.shape[1] // 4)):
        assert torch.equal(logits_of(model), whole)


def test_a_layer_that_another_library_wraps_is_left_whole(model):
    layer = model.get_output_embeddings()
    wrapped = layer.forward
    layer.forward = lambda hidden: 2 * wrapped(hidden)
    whole = logits_of(model)
    with narrowed(model, NARROW, TOKENS):
        assert torch.equal(logits_of(model), whole)
    assert torch.equal(logits_of(model), whole)
