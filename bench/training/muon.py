"""Gradients of matrices -> steps of the same size in all directions.

This is torch.optim.Muon in the precision of the weights. Its bfloat16 takes longer than the model itself on
CPUs without bfloat16 arithmetic. Source: Jordan et al. (2024), https://kellerjordan.github.io/posts/muon/.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

MOMENTUM = 0.95
COEFFICIENTS = 3.4445, -4.7750, 2.0315  # coefficients of a Newton-Schulz step, by Jordan et al.
NUM_STEPS = 5


class Muon(torch.optim.Optimizer):
    """An optimizer for matrices. lr: singular values of a step, times sqrt(rows / columns) if above 1."""

    def __init__(self, matrices: Iterable[Tensor], lr: float) -> None:
        super().__init__(matrices, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for matrix in group["params"]:
                average = self.state[matrix].setdefault("average", torch.zeros_like(matrix))
                average.lerp_(matrix.grad, 1 - MOMENTUM)
                update = orthogonal(matrix.grad.lerp(average, MOMENTUM))
                rows, columns = matrix.shape
                matrix.add_(update, alpha=-group["lr"] * max(1.0, rows / columns) ** 0.5)


def orthogonal(matrix: Tensor) -> Tensor:
    """An approximation of U V^T for the matrix U S V^T. Singular values: 0.7 to 1.2. matrix: (M, N)."""
    if matrix.shape[0] > matrix.shape[1]:
        return orthogonal(matrix.T).T
    a, b, c = COEFFICIENTS
    found = matrix / matrix.norm().clamp(min=1e-7)
    for _ in range(NUM_STEPS):
        gram = found @ found.T
        found = a * found + (b * gram + c * gram @ gram) @ found
    return found
