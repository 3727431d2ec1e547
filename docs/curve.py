"""Makes images/curve.png: tiny-code trained further on the task's own text, evaluated every 8 steps.

Run python docs/curve.py. It takes minutes on a CPU. The training text contains no evaluation states.
"""

import tempfile
from pathlib import Path

import matplotlib
import torch
from matplotlib.figure import Figure
from transformers import AutoModelForCausalLM, AutoTokenizer, Trainer, TrainingArguments

import bench
from bench.report.drawings import BASE, MUTED, STYLE, VARIANT
from bench.training.arms import Arm, Stage
from bench.training.data import batches, held_out
from bench.training.tokenizer import Encoder

STEPS, EVERY, LIMIT, ROWS = 48, 8, 40, 4
ARM = Arm("code", (Stage("tracked prompts", STEPS * ROWS * 640, 640, ROWS * 640),), muon_lr=0, adam_lr=2e-3)
START = bench.FIXTURES / "tiny" / "tiny-code"
LINES = {
    "accuracy_0": ("0 operations", BASE, "o-"),
    "accuracy_1plus": ("1+ operations", VARIANT, "s-"),
    "logprob_accuracy_1plus": ("1+, by log-probability", VARIANT, "s:"),
    "random_1plus": ("1+, random guessing", MUTED, "--"),
}


def main() -> None:
    tokenizer = AutoTokenizer.from_pretrained(START)
    model = AutoModelForCausalLM.from_pretrained(START, dtype=torch.float32)
    rows = [
        {"input_ids": ids, "labels": ids.masked_fill(weights < 1, -100)}
        for _, *batch in batches(ARM, 0, Encoder(tokenizer), held_out())
        for ids, weights in zip(*batch, strict=True)
    ]
    with tempfile.TemporaryDirectory() as folder:
        args = TrainingArguments(
            folder, max_steps=STEPS, per_device_train_batch_size=ROWS, learning_rate=ARM.adam_lr,
            lr_scheduler_type="cosine", warmup_steps=10, save_strategy="no", report_to="none",
        )  # fmt: skip
        trainer = Trainer(model, args, train_dataset=rows, processing_class=tokenizer)
        trainer.add_callback(bench.BoxesCallback(trainer, every=EVERY, limit=LIMIT, seconds=600))
        trainer.train()
    curve = [entry for entry in trainer.state.log_history if "boxes/accuracy_1plus" in entry]
    draw(curve).savefig(Path(__file__).parent / "images" / "curve.png", dpi=160)


def draw(curve: list[dict[str, float]]) -> Figure:
    steps = [entry["step"] for entry in curve]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.8, 3.1), layout="constrained")
        axes = figure.add_subplot(xlabel="step", ylabel="accuracy (%)", ylim=(0, 102), xticks=steps)
        for metric, (label, colour, kind) in LINES.items():
            values = [100 * entry[f"boxes/{metric}"] for entry in curve]
            axes.plot(steps, values, kind, color=colour, markersize=4.2, label=label)
        axes.grid(axis="y")
        figure.legend(loc="outside upper left", ncols=2, fontsize=7.5)
        return figure


if __name__ == "__main__":
    main()
