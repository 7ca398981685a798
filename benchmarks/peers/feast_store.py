"""A Feast repository made in a folder; runs in Feast's own environment."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

CONFIG = """project: {project}
provider: local
registry: {folder}/registry.db
entity_key_serialization_version: 3
offline_store: {{type: duckdb}}
online_store: {online}
"""
SQLITE = "{{type: sqlite, path: {folder}/online.db}}"
KINDS = {"int64": "int64", "double": "float64", "string": "string", "bool": "bool"}
"""Kinds of features by the name of their Arrow type."""


class View(NamedTuple):
    """A feature view over a Parquet file; ``features`` are (name, kind) with kind int64, float64, string or bool."""

    name: str
    entity: str
    entity_kind: str
    path: str
    event_time: str
    created_at: str
    features: Sequence[tuple[str, str]]
    ttl_days: float | None = None


def open_store(folder: Path, views: Sequence[View], online: str = SQLITE, project: str = "peer") -> Any:
    """Write ``feature_store.yaml``, apply the views with their entities, and return the ``FeatureStore``."""
    from feast import FeatureStore

    text = CONFIG.format(project=project, folder=folder, online=online.format(folder=folder))
    (folder / "feature_store.yaml").write_text(text)
    store = FeatureStore(repo_path=str(folder))
    entities = {view.entity: _entity(view) for view in views}
    store.apply([*entities.values(), *(_feature_view(view, entities[view.entity]) for view in views)])
    return store


def references(views: Sequence[View]) -> list[str]:
    """Name every feature as Feast's calls take it."""
    return [f"{view.name}:{name}" for view in views for name, _ in view.features]


def _entity(view: View) -> Any:
    from feast import Entity, ValueType

    kind = ValueType.INT64 if view.entity_kind == "int64" else ValueType.STRING
    return Entity(name=view.entity, join_keys=[view.entity], value_type=kind)


def _feature_view(view: View, entity: Any) -> Any:
    from feast import FeatureView, Field, FileSource, types

    kinds = {"int64": types.Int64, "float64": types.Float64, "string": types.String, "bool": types.Bool}
    source = FileSource(
        name=f"{view.name}_source",
        path=view.path,
        timestamp_field=view.event_time,
        created_timestamp_column=view.created_at,
    )
    return FeatureView(
        name=view.name,
        entities=[entity],
        ttl=timedelta(days=view.ttl_days or 0),
        schema=[
            Field(name=name, dtype=kinds[kind]) for name, kind in [(view.entity, view.entity_kind), *view.features]
        ],
        source=source,
        online=True,
    )
