"""python -m bench train-tiny: arm -> weights, card and recorded figures."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from bench import FIXTURES
from bench.inputs import COUNT, SEED, InputError
from bench.training.arms import ARMS, SIZES, arm_of

MODELS = FIXTURES / "tiny"
ALIASES = {"more-text": "text"}


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--arm",
        type=lambda name: ALIASES.get(name, name),
        choices=sorted(ARMS),
        default="base",
        help="the model to train (default: %(default)s)",
    )
    parser.add_argument("--tokens", type=COUNT, help="tokens to train on (default: the arm's own number)")
    parser.add_argument("--size", choices=SIZES, help="size of a model from scratch (default: 1m)")
    parser.add_argument(
        "--seed", type=SEED, default=0, help="seed of weights and documents (default: %(default)s)"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (default: %(default)s)")
    parser.add_argument("--base", type=Path, help="folder of the parent (default: fixtures/tiny/tiny-PARENT)")
    parser.add_argument("--out", type=Path, help="folder to write (default: fixtures/tiny/tiny-ARM)")
    parser.add_argument("--record", action="store_true", help="save the accuracy among the recorded figures")


def run(chosen: Namespace) -> int:
    """Train, search for leaks, measure, write the card. A killed run resumes from its checkpoint."""
    from transformers import AutoTokenizer

    from bench.training.card import measure, record, write_card
    from bench.training.data import check_leaks
    from bench.training.train import train

    arm = arm_of(chosen.arm, chosen.tokens)
    if arm.parent and chosen.size:
        raise InputError(
            f"arm {chosen.arm} has its parent's size. Train --arm {arm.parent} --size {chosen.size} into a "
            "folder of its own, and give that folder with --base."
        )
    out = chosen.out or MODELS / f"tiny-{chosen.arm}"
    base = chosen.base or (MODELS / f"tiny-{arm.parent}" if arm.parent else None)
    if base and not (base / "model.safetensors").is_file():
        raise InputError(
            f"no weights in {base}. Train --arm {arm.parent} first, or give its folder with --base."
        )
    training = train(
        chosen.arm,
        out=out,
        base=base,
        seed=chosen.seed,
        tokens=chosen.tokens,
        size=chosen.size or "1m",
        device=chosen.device,
    )
    found = check_leaks(arm, chosen.seed, AutoTokenizer.from_pretrained(out))
    if found.leaked:
        raise InputError(
            f"{found.leaked} evaluation states are in the training text of {out}. Do not use this model."
        )
    measured = measure(out, arm.chat)
    write_card(out, chosen.arm, chosen.tokens, training, found, measured)
    if chosen.record:
        record(out.name, measured)
    (out / "checkpoint.pt").unlink()
    at_zero, above = 100 * measured["ops0"].value, 100 * measured["ops1plus"].value
    print(f"{out}: {at_zero:.1f}% at 0 operations, {above:.1f}% above")
    return 0
