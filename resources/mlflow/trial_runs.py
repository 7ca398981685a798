"""Logs a search's trials as child runs in MLflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow import MlflowClient

_PARENT = "mlflow.parentRunId"


def log(client: MlflowClient, experiment: str, parent: str, trials: Sequence[Mapping[str, Any]]) -> None:
    """Log each trial with its parameters, its score and how long it took; one that was ended early is killed."""
    for trial in trials:
        _log(client, experiment, parent, trial)


def _log(client: MlflowClient, experiment: str, parent: str, trial: Mapping[str, Any]) -> None:
    from mlflow.entities import Metric, Param

    family = trial["family"]
    name = f"trial {trial['number']}{f', {family}' if family else ''}"
    run = client.create_run(experiment, tags={_PARENT: parent}, run_name=name)
    at = run.info.start_time
    measured = {"score": trial["score"], "seconds": trial["seconds"], "weight": trial["weight"]}
    client.log_batch(
        run.info.run_id,
        metrics=[Metric(key, value, at, 0) for key, value in measured.items() if value is not None],
        params=[Param(key, str(value)) for key, value in {"family": family, **trial["params"]}.items() if value != ""],
    )
    client.set_terminated(run.info.run_id, "FINISHED" if trial["score"] is not None else "KILLED")
