"""Generates the files of a Feast repository: ``feature_store.yaml`` and ``repo.py``."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from loopline.feast_export.names import CREATED, EVENT_TIMESTAMP
from loopline.platform_core.foundation.names import CREATED_AT, EVENT_TIME, view_name, view_table

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.specs import FeatureView, Model, Team

DATA = "data"
CONFIGURATION = """# Written once by `loopline features export-feast {team}`, then left alone: put your own stores in.
project: {team}
provider: local
registry: data/registry.db
entity_key_serialization_version: 3
offline_store:
  type: duckdb
online_store:
  type: sqlite
  path: data/online.db
"""
HEAD = '''"""Feature views of team {team}, for Feast 0.67; written by `loopline features export-feast {team}`.

Training sets: `store.get_historical_features(..., filter_by_created_timestamp=True)`. Without that Feast gives a row
values that became known only after its time.
"""

from datetime import timedelta
from pathlib import Path

from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
from feast.types import Bool, Float64, Int64, String

DATA = Path(__file__).parent / "{data}"
'''
TYPES = {"int64": "Int64", "double": "Float64", "string": "String", "bool": "Bool"}
KEYS = {"int64": "INT64", "string": "STRING"}
Schemas = Mapping["FeatureView", "pa.Schema"]


def configuration(team: Team) -> str:
    """Write ``feature_store.yaml``."""
    return CONFIGURATION.format(team=team.name)


def program(team: Team, schemas: Schemas) -> str:
    """Write ``repo.py``: an entity a key, a view each, a service a model."""
    parts = [HEAD.format(team=team.name, data=DATA), *_entities(schemas)]
    parts += [_view(team, view, schema) for view, schema in schemas.items()]
    return "\n".join([*parts, *(_service(team, model) for model in team.models)])


def _entities(schemas: Schemas) -> Iterator[str]:
    """Write each key once; that of a team's views has one type, or their model could not join them."""
    kinds = {view.entity: KEYS[str(schema.field(view.entity).type)] for view, schema in schemas.items()}
    for name, kind in kinds.items():
        yield f"{name}_entity = Entity(name={name!r}, join_keys=[{name!r}], value_type=ValueType.{kind})"


def _view(team: Team, view: FeatureView, schema: pa.Schema) -> str:
    name = view_name(view)
    tags = {
        "team": team.name,
        "version": str(view.version),
        "served": view.served,
        "table": view_table(team.name, view),
    }
    fields = [view.entity, *(c for c in schema.names if c not in (view.entity, EVENT_TIME, CREATED_AT))]
    lines = [f"        Field(name={c!r}, dtype={TYPES[str(schema.field(c).type)]})," for c in fields]
    return f"""
{name}_view = FeatureView(
    name={name!r},
    entities=[{view.entity}_entity],
    ttl=timedelta(days={view.ttl_days or 0!r}),  # {"for ever" if view.ttl_days is None else "inclusive"}
    schema=[
{chr(10).join(lines)}
    ],
    source=FileSource(
        name={f"{name}_rows"!r},
        path=str(DATA / {f"{name}.parquet"!r}),
        timestamp_field={EVENT_TIMESTAMP!r},
        created_timestamp_column={CREATED!r},
    ),
    online={view.served == "online"!r},
    description={inspect.cleandoc(view.description)!r},
    owner={view.owner or team.owner!r},
    tags={tags!r},
)"""


def _service(team: Team, model: Model) -> str:
    views = ", ".join(f"{view_name(view)}_view" for view in model.features)
    return f"""
{model.name}_service = FeatureService(
    name={model.name!r},
    features=[{views}],
    description={inspect.cleandoc(model.description)!r},
    owner={team.owner!r},
)"""
