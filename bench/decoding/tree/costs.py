"""What decoding costs, in tokens through the model: how long to draft, and when drafts are not worth it."""

from __future__ import annotations

from math import sqrt
from typing import Any

from bench.decoding.measure import device_kind
from bench.decoding.reference import BATCH_SIZE

# What a forward pass costs besides its tokens, as if it were so many: reading the weights once, and starting
# the work of each layer, which weighs more in a small model (layers over millions of parameters).
WEIGHTS = {"cpu": 24, "cuda": 300}
LAYERS = {"cpu": 40, "cuda": 90_000}
# A pass over a tree, with its masks and drafts, costs so many of the reference engine's: measured with a tiny
# model on a CPU; on GPUs not yet.
TREE_PASSES = {"cpu": 3, "cuda": 1}
PATIENCE = 8_000.0  # tokens that may be lost before drafts have shown their worth


class Costs:
    """Learns how often a drafted token is refused, and keeps account against the reference engine.

    balance: tokens in hand; drafts do not pay once it is below zero.
    """

    def __init__(self, model: Any) -> None:
        config = model.config.get_text_config()
        millions = sum(weights.numel() for weights in model.parameters()) / 1e6
        kind = device_kind(model)
        self.pass_tokens = WEIGHTS[kind] + LAYERS[kind] * config.num_hidden_layers / millions
        self.tree_passes = TREE_PASSES[kind]
        self.batch_size = BATCH_SIZE[kind]
        self.accepted, self.refused = 19, 1  # as if one in twenty had been refused before
        self.balance = PATIENCE

    def learn(self, drafted: int, accepted: int) -> None:
        self.accepted += accepted
        self.refused += accepted < drafted

    def draft_length(self, branches: int) -> int:
        """The length that gets most tokens accepted for the cost of a pass that branches share.

        With a small chance r that a token is refused and a pass that costs c tokens, length L brings about
        L - r L^2 / 2 tokens for L + c, which is best near sqrt(2 c / r).
        """
        refusal = self.refused / (self.refused + self.accepted)
        return round(sqrt(2 * self.pass_tokens / branches / refusal))

    def spend(self, tokens: int) -> None:
        """Count one forward pass over a tree of so many tokens."""
        self.balance -= tokens + self.tree_passes * self.pass_tokens

    def save(self, prompt_tokens: int, written: int) -> None:
        """Count what the reference engine would have paid: each token once, and a share of the passes."""
        self.balance += prompt_tokens + written * (1 + self.pass_tokens / self.batch_size)
