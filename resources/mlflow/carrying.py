"""Copies model versions with their runs from one MLflow to another."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopline.platform_core.contracts.registry import Carried
from loopline.platform_core.errors import Refused

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from loopline.platform_core.contracts.registry import ModelVersion

FORM = "mlflow"
CARRIED = "loopline.carried"
"""Tag of a run that was logged for a version that came from elsewhere: by it a killed process's run is gone on with."""
_PACKAGE = "package"
_PAGE = 1_000


def models(client: MlflowClient) -> Sequence[str]:
    """List the registered models whose newest version has a package."""
    names: list[str] = []
    token: str | None = None
    while True:
        page = client.search_registered_models(max_results=_PAGE, page_token=token)
        names += [found.name for found in page]
        token = page.token
        if not token:
            return sorted(name for name in names if _is_ours(client, name))


def _is_ours(client: MlflowClient, model: str) -> bool:
    newest = client.search_model_versions(f"name = '{model}'", order_by=["version_number DESC"], max_results=1)
    return any(
        file.path == _PACKAGE for found in newest if found.run_id for file in client.list_artifacts(found.run_id)
    )


def carried(client: MlflowClient, found: Any, version: ModelVersion, folder: Path) -> Carried:
    """Copy a version's artifacts into a folder; the details are its run's."""
    run = client.get_run(found.run_id)
    for top in client.list_artifacts(found.run_id):
        client.download_artifacts(found.run_id, top.path, str(folder))
    details = {
        "params": dict(run.data.params),
        "run_tags": dict(run.data.tags),
        "metric_times": _times(client, run),
        "started": run.info.start_time,
        "ended": run.info.end_time,
        "run_name": run.info.run_name,
        "description": found.description,
        "source": str(found.source).rstrip("/").rpartition("/")[2],
    }
    return Carried(FORM, version, details)


def _times(client: MlflowClient, run: Any) -> dict[str, Any]:
    return {name: client.get_metric_history(run.info.run_id, name)[-1].timestamp for name in run.data.metrics}


def refuse_another_number(version: ModelVersion, known: Collection[str]) -> None:
    """Refuse a version whose turn it is not.

    Raises:
        Refused: the next number is another.
    """
    following = max((int(each) for each in known), default=0) + 1
    if int(version.version) != following:
        raise Refused(
            f"{version.model} version {version.version} would be number {following} at the target",
            "take versions in their order; where the source lacks a number, since somebody deleted it there, make and "
            "delete a version of that number at the target by MLflow's own means, then run it again",
        )


def adopted(client: MlflowClient, experiment: str, carried: Carried, folder: Path) -> Any:
    """Log a run and make the version on it; MLflow's record of it.

    Raises:
        Refused: MLflow gave another number, since versions were deleted there; it is deleted again.
    """
    version = carried.version
    run = _run(client, experiment, carried)
    _log(client, run, carried)
    client.log_artifacts(run.info.run_id, str(folder))
    client.set_terminated(run.info.run_id, end_time=carried.details["ended"])
    made = client.create_model_version(
        version.model,
        f"{run.info.artifact_uri}/{carried.details['source']}",
        run.info.run_id,
        tags=dict(version.tags),
        description=carried.details["description"],
    )
    if str(made.version) != version.version:
        client.delete_model_version(version.model, str(made.version))
        raise Refused(
            f"{version.model} version {version.version} became number {made.version} at the target, and was deleted",
            "versions were deleted there: move into an empty registry, or delete the registered model there first",
        )
    return made


def _run(client: MlflowClient, experiment: str, carried: Carried) -> Any:
    """Begin the run of a version, or find the one with which a killed process began."""
    number = carried.version.version
    begun = client.search_runs([experiment], f"tags.`{CARRIED}` = '{number}'", max_results=1)
    if begun:
        return begun[0]
    details = carried.details
    return client.create_run(experiment, details["started"], {CARRIED: number}, run_name=details["run_name"])


def _log(client: MlflowClient, run: Any, carried: Carried) -> None:
    from mlflow.entities import Metric, Param, RunTag

    details = carried.details
    metrics = carried.version.metrics
    client.log_batch(
        run.info.run_id,
        metrics=[Metric(name, value, details["metric_times"][name], 0) for name, value in metrics.items()],
        params=[Param(name, value) for name, value in details["params"].items()],
        tags=[RunTag(name, value) for name, value in details["run_tags"].items() if name != CARRIED],
    )
