"""Logits that are not numbers are found at any place."""

import pytest
import torch

from bench.decoding.device import check_finite


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_one_logit_that_is_not_finite_is_enough(value, dtype):
    logits = torch.zeros(3, 50, dtype=dtype)
    check_finite(logits)
    logits[1, 7] = value
    with pytest.raises(FloatingPointError, match="not finite"):
        check_finite(logits)
