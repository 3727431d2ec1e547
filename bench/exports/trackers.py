"""A finished run -> every answer as a file, and a metrics tracker. TRACKERS has one function for each."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from bench.exports.answers import write_table
from bench.records import Results
from bench.run.options import Options
from bench.run.plans import Plan


def metrics_of(results: Results) -> dict[str, float]:
    """MODEL/accuracy_BUCKET, PAIR/difference_BUCKET with its interval and p, and random_BUCKET."""
    found = {f"random_{bucket}": value for bucket, value in results.baseline.items()}
    for model, accuracies in results.accuracies.items():
        found |= {f"{model}/accuracy_{bucket}": accuracy.value for bucket, accuracy in accuracies.items()}
    for verdict in results.verdicts:
        compared = verdict.comparison
        difference = compared.difference
        figures = {"": difference.value, "_low": difference.low, "_high": difference.high}
        name = f"{compared.pair.id}/difference_{compared.bucket}"
        found |= {f"{name}{end}": value for end, value in figures.items()}
        found[f"{name}_p"] = compared.p_adjusted
    return found


def parameters_of(results: Results) -> dict[str, str]:
    """The settings of the run, and the verdict of each pair in words."""
    verdicts = {
        f"verdict {verdict.comparison.pair.id}": verdict.outcome
        for verdict in results.verdicts
        if verdict.comparison.bucket == "ops1plus"
    }
    return {name: str(value) for name, value in results.metadata.items()} | verdicts


def to_mlflow(results: Results, folder: Path) -> str:
    """Log to MLflow. $MLFLOW_TRACKING_URI and $MLFLOW_EXPERIMENT_NAME set the destination."""
    mlflow = import_module("mlflow")
    with mlflow.start_run(run_name=folder.name) as run:
        mlflow.log_params(parameters_of(results))
        mlflow.log_metrics(metrics_of(results))
        mlflow.log_artifacts(str(folder))
    return f"MLflow run {run.info.run_id} at {mlflow.get_tracking_uri()}"


def to_wandb(results: Results, folder: Path) -> str:
    """Log to W&B. $WANDB_PROJECT and $WANDB_MODE set the project and the mode."""
    wandb = import_module("wandb")
    with wandb.init(name=folder.name, config=parameters_of(results)) as run:
        run.log(metrics_of(results))
        report = wandb.Artifact(f"report-{folder.name}", type="report")
        report.add_dir(str(folder))
        run.log_artifact(report)
    return f"W&B run {run.id}"


TRACKERS: dict[str, Callable[[Results, Path], str]] = {"mlflow": to_mlflow, "wandb": to_wandb}


def hand_on(options: Options, results: Results, plan: Plan, folder: Path) -> list[str]:
    """Write the optional outputs. Returns lines for the terminal. A failing tracker does not fail the run."""
    lines = []
    if options.log_samples:
        file = folder / "answers.jsonl"
        lines.append(f"answers: {write_table(results.evaluations, plan, file, options.released_examples)}")
    if options.track:
        try:
            lines.append(f"tracked: {TRACKERS[options.track](results, folder)}")
        except Exception as error:  # from a server, a network or a login
            lines.append(f"not tracked: {options.track}: {type(error).__name__}: {error}")
    return lines
