"""Isolated test registries: a database beside the registry's own, or marked models on a server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from loopline.platform_core.foundation.files import lent

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from loopline.resources.mlflow.registry import MlflowRegistry

MARK = "loopline.place"
"""The tag of a registered model that names the place it belongs to."""
_SQLITE = "sqlite:///"


@contextmanager
def beside(registry: MlflowRegistry, name: str) -> Iterator[MlflowRegistry]:
    """Give a database and files in a folder beside the registry's own database."""
    database = Path(registry.tracking_uri.removeprefix(_SQLITE)).absolute()
    with lent(database.parent / name) as folder:
        place = registry.with_settings(
            tracking_uri=f"{_SQLITE}{folder / database.name}", artifacts=str(folder / "files")
        )
        try:
            yield place
        finally:
            place.close()


@contextmanager
def marked(registry: MlflowRegistry, name: str) -> Iterator[MlflowRegistry]:
    """Give the same server; every model that is published is marked, and deleted with its files in the end."""
    place = registry.with_settings().marking(name)
    try:
        yield place
    finally:
        place.clear(name)


def clear(client: MlflowClient, root: str, name: str) -> None:
    """Delete what is marked: the models, and of each its files and its experiment, which goes to MLflow's trash."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    for model in client.search_registered_models(f"tags.`{MARK}` = '{name}'"):
        experiment = client.get_experiment_by_name(model.name)
        if experiment is not None and experiment.lifecycle_stage == "active":
            get_artifact_repository(f"{root}/{model.name}").delete_artifacts()
            client.delete_experiment(experiment.experiment_id)
        client.delete_registered_model(model.name)
