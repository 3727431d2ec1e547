"""The callback on a real Trainer: its logs have the accuracies, and training is unchanged."""

from __future__ import annotations

from pathlib import Path

import pytest

import bench

pytest.importorskip("accelerate", reason="needs pip install accelerate")
STEPS = 4


def train(
    checkpoint: Path, folder: Path, diverges: bool = False, **settings: object
) -> list[dict[str, float]]:
    """A few steps of a small model with dropout, which uses torch's random state. Returns its logs."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, Trainer, TrainingArguments

    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(checkpoint, attention_dropout=0.5)
    ids = torch.arange(64).reshape(8, 8)
    args = TrainingArguments(
        folder, max_steps=STEPS, logging_steps=1, per_device_train_batch_size=2, report_to="none", seed=1,
        use_cpu=True, save_strategy="no", disable_tqdm=True,
    )  # fmt: skip
    rows = [{"input_ids": row, "labels": row} for row in ids]
    trainer = Trainer(
        model, args, train_dataset=rows, processing_class=AutoTokenizer.from_pretrained(checkpoint)
    )
    if diverges:
        trainer.add_callback(diverging())
    if settings:
        trainer.add_callback(bench.BoxesCallback(trainer, **settings))
    trainer.train()
    return trainer.state.log_history


def diverging() -> object:
    """After two steps the weights are not finite."""
    from transformers import TrainerCallback

    class Diverging(TrainerCallback):
        def on_step_end(self, args, state, control, model, **kwargs):
            if state.global_step == 2:
                model.model.norm.weight.data.fill_(float("nan"))

    return Diverging()


def test_the_logs_have_a_curve_and_the_loss_is_the_same(random_checkpoints: Path, tmp_path: Path) -> None:
    without = train(random_checkpoints / "one", tmp_path)
    logs = train(random_checkpoints / "one", tmp_path, every=2, limit=3)
    curve = [entry for entry in logs if "boxes/accuracy_1plus" in entry]
    assert [entry["step"] for entry in curve] == [0, 2, 4]
    assert all(0 <= entry["boxes/accuracy_0"] <= 1 and entry["boxes/examples"] == 3 for entry in curve)
    assert 0 < curve[0]["boxes/random_1plus"] < curve[0]["boxes/random_0"] < 1
    assert all(0 <= entry["boxes/logprob_accuracy_1plus"] <= 1 for entry in curve)
    assert curve[0]["boxes/logprob_random_1plus"] != curve[0]["boxes/random_1plus"]
    losses = [[entry["loss"] for entry in found if "loss" in entry] for found in (without, logs)]
    norms = [[entry["grad_norm"] for entry in found if "grad_norm" in entry] for found in (without, logs)]
    assert len(losses[0]) == STEPS and losses[0] == losses[1] and norms[0] == norms[1]


def test_a_training_that_diverges_goes_on(
    random_checkpoints: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    logs = train(random_checkpoints / "one", tmp_path, every=2, limit=1, diverges=True)
    assert [entry["step"] for entry in logs if "loss" in entry] == [1, 2, 3, 4]
    assert [entry["step"] for entry in logs if "boxes/accuracy_0" in entry] == [0]
    assert [record.getMessage() for record in caplog.records if "not finite" in record.getMessage()] != []


def test_a_time_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="above zero"):
        bench.BoxesCallback(None, every=0)  # type: ignore[arg-type]
