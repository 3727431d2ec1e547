"""The optimiser of the matrices: the published method, in the precision of the weights."""

import pytest
import torch

from bench.training.muon import Muon, orthogonal

SHAPES = [(128, 128), (384, 128), (128, 384)]


@pytest.mark.parametrize("shape", SHAPES)
def test_three_steps_are_those_of_pytorch_s_own_up_to_bfloat16(shape):
    generator = torch.Generator().manual_seed(0)
    start, *gradients = [torch.randn(shape, generator=generator) for _ in range(4)]
    moved = []
    for optimizer in (Muon, lambda weights, lr: torch.optim.Muon(weights, lr=lr, weight_decay=0.0)):
        weight = torch.nn.Parameter(start.clone())
        steps = optimizer([weight], lr=0.02)
        for gradient in gradients:
            weight.grad = gradient.clone()
            steps.step()
        moved.append(weight.detach() - start)
    assert (moved[0] - moved[1]).norm() < 0.02 * moved[1].norm()


@pytest.mark.parametrize("shape", SHAPES)
def test_a_step_turns_all_directions_by_about_the_same_amount(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    turned = torch.linalg.svdvals(left.T @ orthogonal(matrix) @ right.T)
    assert turned.max() < 1.3
    assert turned.median() > 0.6
