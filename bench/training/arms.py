"""The embedded family: the data, the parent and the learning rates of each arm."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of an arm's training: a mixture, its tokens, and the tokens in a row and in a batch."""

    mixture: str
    tokens: int
    length: int
    batch_tokens: int

    @property
    def steps(self) -> int:
        return self.tokens // self.batch_tokens


@dataclass(frozen=True, slots=True)
class Arm:
    """The training of one model. muon_lr: learning rate of the blocks' matrices. adam_lr: of all other
    weights.

    shrink: factor on those matrices of the parent. chat: documents and prompts are turns. A shrunk model
    learns as fast as a fresh one and soon regains its old skills (Ash & Adams 2020, arXiv:1910.08475).
    """

    parent: str | None
    stages: tuple[Stage, ...]
    muon_lr: float
    adam_lr: float
    shrink: float = 1.0
    chat: bool = False

    @property
    def steps(self) -> int:
        return sum(stage.steps for stage in self.stages)

    @property
    def tokens(self) -> int:
        return sum(stage.steps * stage.batch_tokens for stage in self.stages)

    def scaled(self, tokens: int) -> Arm:
        """The same stages in the same proportions, with this many tokens in all."""
        total = sum(stage.tokens for stage in self.stages)
        return replace(
            self,
            stages=tuple(replace(stage, tokens=stage.tokens * tokens // total) for stage in self.stages),
        )


@dataclass(frozen=True, slots=True)
class Size:
    """The shape of a model. width: of its states. inner: of its feed-forward layers."""

    width: int
    inner: int
    layers: int
    heads: int


SIZES = {"1m": Size(128, 384, 5, 2), "5m": Size(256, 768, 6, 4)}  # 1.2 and 5.3 million parameters


def further(*stages: Stage, chat: bool = False) -> Arm:
    """An arm that follows the base. All of them have the same learning rates."""
    return Arm(parent="base", stages=stages, muon_lr=0.02, adam_lr=4e-3, shrink=0.3, chat=chat)


def alike(small: str, full: str, prompts: str) -> tuple[Stage, ...]:
    """Stages of equal lengths, for arms that differ only in their data."""
    return (
        Stage(small, 1_500_000, length=128, batch_tokens=4096),
        Stage(full, 3_000_000, length=256, batch_tokens=8192),
        Stage(prompts, 1_500_000, length=640, batch_tokens=10240),
    )


ARMS = {
    "base": Arm(
        parent=None,
        stages=(
            Stage("short", 4_000_000, length=256, batch_tokens=4096),
            Stage("distracted", 4_000_000, length=256, batch_tokens=4096),
            Stage("prompts", 5_000_000, length=640, batch_tokens=5120),
        ),
        muon_lr=0.02,
        adam_lr=4e-3,
    ),
    "code": further(*alike("small programs", "programs", "programs and prompts")),
    "code-names": further(
        *alike("renamed small programs", "renamed programs", "renamed programs and prompts")
    ),
    "code-frame": further(
        *alike("unframed small programs", "unframed programs", "unframed programs and prompts")
    ),
    "math": further(*alike("small arithmetic", "arithmetic", "arithmetic and prompts")),
    "chat": further(*alike("small dialogues", "dialogues", "dialogues and prompts"), chat=True),
    "text": further(*alike("more short", "more distracted", "more prompts")),
    "tracking": further(  # a control: it must only beat the base, so it may be longer
        Stage("small tracked", 2_500_000, length=128, batch_tokens=4096),
        Stage("tracked", 3_500_000, length=256, batch_tokens=4096),
        Stage("tracked prompts", 1_000_000, length=640, batch_tokens=5120),
    ),
}


def arm_of(name: str, tokens: int | None = None) -> Arm:
    """An arm of the table, at its own length or scaled to another."""
    return ARMS[name] if tokens is None else ARMS[name].scaled(tokens)
