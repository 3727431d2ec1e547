"""What decoding costs, in tokens through the model: how long a draft may be, and when drafts do not pay."""

from __future__ import annotations

from math import sqrt
from typing import Any

from bench.decoding.device import device_of

PATIENCE = 8_000.0  # tokens that drafts may lose before they have shown their worth


class Costs:
    """Learns how often the model refuses a drafted token, and keeps account against the reference engine.

    balance: tokens in hand. Below zero, drafts cost more than they save.
    """

    def __init__(self, model: Any) -> None:
        layers = model.config.get_text_config().num_hidden_layers
        millions = sum(weights.numel() for weights in model.parameters()) / 1e6
        device = device_of(model)
        self.pass_tokens = device.pass_weights + device.layer_starts * layers / millions
        self.tree_passes = device.tree_passes
        self.batch_size = device.batch_size
        self.accepted, self.refused = 19, 1  # begin as if one in twenty had been refused
        self.balance = PATIENCE

    def learn(self, drafted: int, accepted: int) -> None:
        self.accepted += accepted
        self.refused += accepted < drafted

    def draft_length(self, branches: int) -> int:
        """The length that gets the most tokens accepted for the cost of a pass that branches share.

        Let r be the small chance that a token is refused, and c the cost of a pass in tokens. A draft of
        length L brings about L - r L^2 / 2 tokens for a cost of L + c. The best L is near sqrt(2 c / r).
        """
        refusal = self.refused / (self.refused + self.accepted)
        return round(sqrt(2 * self.pass_tokens / branches / refusal))

    def spend(self, tokens: int) -> None:
        """Count one forward pass over a tree with this number of tokens."""
        self.balance -= tokens + self.tree_passes * self.pass_tokens

    def save(self, prompt_tokens: int, written: int) -> None:
        """Count what the reference engine would have paid: each token once, and its share of the passes."""
        self.balance += prompt_tokens + written * (1 + self.pass_tokens / self.batch_size)
