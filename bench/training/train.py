"""Arm -> weights and tokenizer: one training loop for the embedded family."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase

from bench.decoding.device import usable
from bench.inputs import InputError
from bench.outputs import replacing
from bench.training.arms import ARMS, SIZES, Arm, Size, arm_of
from bench.training.data import batches, held_out, vocabulary_of
from bench.training.dialogues import TEMPLATE
from bench.training.muon import Muon
from bench.training.tokenizer import Encoder, train_tokenizer

WARM_UP_STEPS = 50
FINAL_LR = 0.05  # share of the highest learning rate
CHECKPOINT_SECONDS = 60
COUNTS = ("step", "tokens", "seconds", "losses")


@dataclass
class Training:
    """The state of a training run: everything that a killed run needs to resume."""

    what: dict[str, Any]  # arm, seed, size: a checkpoint of another run is refused
    model: LlamaForCausalLM
    optimizers: list[torch.optim.Optimizer]
    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    losses: list[float] = field(default_factory=list)

    def save(self, path: Path) -> None:
        state = {
            "what": self.what,
            "model": self.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "counts": {name: getattr(self, name) for name in COUNTS},
        }
        with replacing(path) as fresh:
            torch.save(state, fresh)

    def load(self, path: Path) -> None:
        """Restore a checkpoint. Raises InputError if it is damaged or belongs to another run."""
        try:
            state = torch.load(path, weights_only=True, map_location=self.model.device)
            what = state["what"]
            if what == self.what:
                self.model.load_state_dict(state["model"])
                for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
                    optimizer.load_state_dict(saved)
                vars(self).update({name: state["counts"][name] for name in COUNTS})
        except Exception as error:  # torch raises many kinds for a damaged file
            raise InputError(f"{path} is damaged ({error}). Delete it, and train from the start.") from error
        if what != self.what:
            raise InputError(
                f"{path} is a checkpoint of another training: {what}. Delete it, or choose another --out."
            )


def new_model(tokenizer: PreTrainedTokenizerBase, seed: int, size: Size) -> LlamaForCausalLM:
    """A Llama with random weights. Each block's output starts scaled down, as in GPT-2."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=size.width,
        intermediate_size=size.inner,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                weight.div_((2 * size.layers) ** 0.5)
    return model


def renew_unread(model: LlamaForCausalLM, read: list[int], seed: int) -> None:
    """Redraw the embeddings of tokens that the parent never read, from the distribution of the others.

    With tied embeddings, training pushes all unread tokens to one place, where "Put" equals "Remove".
    """
    embeddings = model.model.embed_tokens.weight.data  # (V, D)
    unread = torch.ones(len(embeddings), dtype=torch.bool)
    unread[read] = False
    noise = torch.randn(embeddings.shape, generator=torch.Generator().manual_seed(seed))
    drawn = embeddings[read].mean(0) + noise * embeddings[read].std(0)
    embeddings[unread] = drawn[unread]


def matrices_of(model: LlamaForCausalLM) -> list[Tensor]:
    """The weights of the blocks, norms left out."""
    return [weight for weight in model.model.layers.parameters() if weight.ndim == 2]


def make_optimizers(model: LlamaForCausalLM, arm: Arm) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the blocks, AdamW for embeddings and norms."""
    matrices = matrices_of(model)
    chosen = {id(weight) for weight in matrices}
    others = [weight for weight in model.parameters() if id(weight) not in chosen]
    return [
        Muon(matrices, lr=arm.muon_lr),
        torch.optim.AdamW(others, lr=arm.adam_lr, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def lr_factor(step: int, steps: int) -> float:
    """The share of the highest learning rate: a short warm-up, then a linear decay to FINAL_LR."""
    return min(1.0, (step + 1) / WARM_UP_STEPS) * (1 - (1 - FINAL_LR) * step / steps)


def has_bfloat16(device_type: str) -> bool:
    """Whether bfloat16 is fast. On a CPU without its instructions it is 30 times slower than float32."""
    return device_type != "cpu" or torch.cpu.get_capabilities().get("avx512_bf16", False)


def weighted_loss(model: LlamaForCausalLM, input_ids: Tensor, weights: Tensor) -> Tensor:
    """Mean cross-entropy of the next token. input_ids, weights: (B, T)."""
    kind = input_ids.device.type
    with torch.autocast(kind, torch.bfloat16, enabled=has_bfloat16(kind)):
        logits = model(input_ids=input_ids, use_cache=False).logits[:, :-1]  # (B, T - 1, V)
    losses = F.cross_entropy(logits.float().flatten(0, 1), input_ids[:, 1:].flatten(), reduction="none")
    weights = weights[:, 1:].flatten()
    return (losses * weights).sum() / weights.sum()


def train(
    arm_name: str,
    *,
    out: Path,
    base: Path | None = None,
    seed: int = 0,
    tokens: int | None = None,
    size: str = "1m",
    device: str = "auto",
) -> Training:
    """Train an arm and save it in the folder `out`. A killed run resumes from its checkpoint there.

    base: the folder of the parent, for an arm that has one. tokens: the arm's stages scaled to this length.
    size: of a model without parent.
    """
    arm = arm_of(arm_name, tokens)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    usable(device)
    out.mkdir(parents=True, exist_ok=True)
    if arm.parent is None:
        tokenizer: PreTrainedTokenizerBase = train_tokenizer(seed)
        model = new_model(tokenizer, seed, SIZES[size])
    else:
        tokenizer = AutoTokenizer.from_pretrained(base)
        tokenizer.chat_template = TEMPLATE if arm.chat else None
        model = LlamaForCausalLM.from_pretrained(base, dtype=torch.float32)
        with torch.no_grad():
            for matrix in matrices_of(model):
                matrix *= arm.shrink
        renew_unread(model, vocabulary_of(ARMS[arm.parent], seed, Encoder(tokenizer)), seed)
    model.to(device).train()
    training = Training({"arm": asdict(arm), "seed": seed, "size": size}, model, make_optimizers(model, arm))
    checkpoint = out / "checkpoint.pt"
    if checkpoint.exists():
        training.load(checkpoint)
    run(training, arm, seed, Encoder(tokenizer), checkpoint)
    with replacing(out) as fresh:
        model.half().save_pretrained(fresh)
        tokenizer.save_pretrained(fresh)
    return training


def run(training: Training, arm: Arm, seed: int, encode: Encoder, checkpoint: Path) -> None:
    """Run the remaining steps, with a checkpoint every minute and one at the end."""
    model, device = training.model, training.model.device
    loss_of = torch.compile(weighted_loss)
    started, saved = time.monotonic() - training.seconds, time.monotonic()
    with tqdm(total=arm.tokens, initial=training.tokens, unit="tok", unit_scale=True, mininterval=1) as bar:
        for stage, input_ids, weights in batches(arm, seed, encode, held_out(), start=training.step):
            # On a CPU, whole score matrices are faster than blocks for short rows.
            attention = "eager" if device.type == "cpu" and stage.length <= 256 else "sdpa"
            model.set_attn_implementation(attention)
            for optimizer, highest in zip(training.optimizers, (arm.muon_lr, arm.adam_lr), strict=True):
                for group in optimizer.param_groups:
                    group["lr"] = highest * lr_factor(training.step, arm.steps)
            loss = loss_of(model, input_ids.to(device), weights.to(device))
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for optimizer in training.optimizers:
                optimizer.step()
                optimizer.zero_grad()
            training.step += 1
            training.tokens += input_ids.numel()
            training.losses.append(loss.item())
            training.seconds = time.monotonic() - started
            bar.update(input_ids.numel())
            recent = training.losses[-50:]
            bar.set_postfix(loss=f"{sum(recent) / len(recent):.3f}", refresh=False)
            if time.monotonic() - saved > CHECKPOINT_SECONDS:
                training.save(checkpoint)
                saved = time.monotonic()
    training.save(checkpoint)
