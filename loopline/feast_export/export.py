"""Writes a Feast repository: declarations, configuration, and each view's offline rows as Parquet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from loopline.feast_export import repository
from loopline.feast_export.names import CREATED, EVENT_TIMESTAMP, refuse
from loopline.platform_core.errors import Refused
from loopline.platform_core.features.compute.changes import feature_names, last_of_each, living, without
from loopline.platform_core.foundation.names import CREATED_AT, EVENT_TIME, GONE, view_name, view_table

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import FeatureView, Team


@dataclass(frozen=True)
class Exported:
    """A view in the repository: its name there, rows written, and the version of the lake's table they are from."""

    view: str
    rows: int
    version: int


def export(platform: Platform, team: Team, folder: Path, *, again: bool = False) -> list[Exported]:
    """Write every feature view of a team, in every version, with its offline rows as they are now.

    ``again`` writes ``repo.py`` and the rows anew; a ``feature_store.yaml`` that is there stays as it is.

    Raises:
        Refused: the folder holds something, and ``again`` was not said. NotFound: a view was never materialized.
        InvalidSpec: Feast could not ask for a name.
    """
    if folder.exists() and any(folder.iterdir()) and not again:
        raise Refused(f"{folder} is not empty", "name another folder, or say --again")
    tables = {view: _read(platform, team, view) for view in team.views}
    refuse(team, {view: feature_names(rows, view.entity) for view, (rows, _) in tables.items()})
    (folder / repository.DATA).mkdir(parents=True, exist_ok=True)
    done = [_write(folder, view, rows, version) for view, (rows, version) in tables.items()]
    (folder / "repo.py").write_text(repository.program(team, {view: rows.schema for view, (rows, _) in tables.items()}))
    configuration = folder / "feature_store.yaml"
    if not configuration.exists():
        configuration.write_text(repository.configuration(team))
    return done


def _read(platform: Platform, team: Team, view: FeatureView) -> tuple[pa.Table, int]:
    table = view_table(team.name, view)
    version = platform.lake.version(table)
    rows = _standing(platform.lake.read(table, version=version), view.entity)
    columns = [view.entity, EVENT_TIME, CREATED_AT, *feature_names(rows, view.entity)]
    return rows.select(columns), version or 0


def _standing(rows: pa.Table, entity: str) -> pa.Table:
    """Leave out rows that are no more, and what they ended: Feast knows no deletion, and would answer with either."""
    if GONE not in rows.column_names:
        return rows
    keys = [entity, EVENT_TIME]
    newest = last_of_each(rows, keys, by=CREATED_AT)
    return living(without(rows, without(newest, living(newest), keys), keys))


def _write(folder: Path, view: FeatureView, rows: pa.Table, version: int) -> Exported:
    from pyarrow import parquet

    name = view_name(view)
    path = folder / repository.DATA / f"{name}.parquet"
    renamed = {EVENT_TIME: EVENT_TIMESTAMP, CREATED_AT: CREATED}
    ordered = rows.sort_by([(EVENT_TIME, "ascending"), (CREATED_AT, "ascending")])
    draft = path.with_suffix(".draft")
    parquet.write_table(ordered.rename_columns([renamed.get(c, c) for c in rows.column_names]), draft)
    draft.replace(path)
    return Exported(name, len(rows), version)
