"""Readers of feature views: live model versions, declared models, and registered applications."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from sqlalchemy import Connection, RowMapping, func, select

from loopline.platform_core.errors import NotFound
from loopline.platform_core.features.registry.view_ref import ViewRef
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.deployments.deployments import served
from loopline.platform_core.loop.ledger import tables
from loopline.platform_core.loop.ledger.entry_kinds import PINNED, REGISTERED
from loopline.platform_core.loop.rollouts.rollout_table import ACTIVE

Kind = Literal["live", "model", "application"]
CHUNK = 500
"""Cycles that are asked for at once."""
HOLDS: tuple[Kind, ...] = ("live", "application")
"""Readers that keep a view from being changed or dropped; a model by declaration alone serves nobody."""


@dataclass(frozen=True)
class Reader:
    """Who reads a version of a view: a ``live`` version of a model, a ``model`` as declared, an ``application``.

    ``version`` is the live model's, ``role`` its place: stable, candidate or rollout; ``since`` is None for a live one.
    """

    view: ViewRef
    kind: Kind
    name: str
    version: str = ""
    role: str = ""
    contact: str = ""
    since: datetime | None = None

    def __str__(self) -> str:
        """Say it as part of a sentence."""
        if self.kind == "live":
            return f"{self.name} version {self.version} ({self.role})"
        return f"application {self.name}" if self.kind == "application" else f"model {self.name}"


@dataclass(frozen=True)
class Live:
    """A model version that answers requests, or is on its way to."""

    ref: ModelRef
    version: str
    role: str
    package: Path


@dataclass(frozen=True)
class Pinned:
    """The training set of a version: the tables that it was made of, and the ledger's entry that says so."""

    entry_id: int
    tables: tuple[str, ...]


def readers(connection: Connection, team: str | None = None) -> list[Reader]:
    """Return who reads views, of one team or of all, in a fixed order; inside a transaction."""
    return sorted({*announced(connection, team), *_live_readers(connection, team)}, key=_order)


def announced(connection: Connection, team: str | None = None) -> list[Reader]:
    """Return the models that declare views and the applications that said that they read some, in no order."""
    query = select(tables.feature_readers)
    if team is not None:
        query = query.where(tables.feature_readers.c.team == team)
    return [_announced_reader(row) for row in connection.execute(query).mappings()]


def live(connection: Connection, team: str | None = None) -> Iterator[Live]:
    """Yield the model versions that are live, inside a transaction."""
    place, rollouts = tables.deployments, tables.rollouts
    deployed, moving = select(place), select(rollouts).where(rollouts.c.state.in_(ACTIVE))
    if team is not None:
        deployed, moving = deployed.where(place.c.team == team), moving.where(rollouts.c.team == team)
    seen = set()
    for row in connection.execute(deployed).mappings():
        for role in ("stable", "candidate", "shadow"):
            version = served(row[role])
            if version is not None:
                seen.add((row["team"], row["model"], version.version))
                yield Live(ModelRef(row["team"], row["model"]), version.version, role, version.package)
    for row in connection.execute(moving).mappings():
        if (row["team"], row["model"], row["version"]) not in seen:
            yield Live(ModelRef(row["team"], row["model"]), row["version"], "rollout", Path(row["package"]))


def counts(connection: Connection) -> dict[tuple[ViewRef, str], int]:
    """Count the models that declare a version and the applications that read it, by version and kind."""
    row = tables.feature_readers.c
    place = (row.team, row.view, row.version)
    query = select(*place, row.kind, func.count()).group_by(*place, row.kind)
    return {(ViewRef(*found[:3]), found[3]): found[4] for found in connection.execute(query)}


def views_of(connection: Connection, versions: Sequence[Live]) -> list[tuple[ViewRef, ...]]:
    """Return the views that each version reads: its training set's, by the ledger; else its package's.

    It takes two queries, however many versions there are.
    """
    entry = tables.entries.c
    wanted = {(*version.ref, version.version) for version in versions}
    named = (entry.team, entry.model, entry.version, entry.cycle)
    fitted = connection.execute(select(*named).where(entry.kind == REGISTERED))
    cycles = {(*row[:2], row.cycle): row.version for row in fitted if tuple(row[:3]) in wanted}
    pins = select(entry.team, entry.model, entry.cycle, entry.details).where(entry.kind == PINNED)
    every = sorted({cycle for _, _, cycle in cycles})
    sets: dict[tuple[str, str, str], tuple[str, ...]] = {}
    for start in range(0, len(every), CHUNK):
        for row in connection.execute(pins.where(entry.cycle.in_(every[start : start + CHUNK]))):
            if tuple(row[:3]) in cycles:
                sets[row.team, row.model, cycles[tuple(row[:3])]] = tuple(row.details["tables"])
    return [_views(version, sets.get((*version.ref, version.version), ())) for version in versions]


def pinned(connection: Connection, ref: ModelRef, version: str) -> Pinned | None:
    """Return the training set of a version, as its cycle pinned it; None for a version that no cycle made."""
    fitted, pins = tables.entries.alias(), tables.entries.alias()
    query = (
        select(pins.c.entry_id, pins.c.details)
        .join(fitted, (fitted.c.team == pins.c.team) & (fitted.c.model == pins.c.model))
        .where(fitted.c.cycle == pins.c.cycle, fitted.c.kind == REGISTERED, pins.c.kind == PINNED)
        .where(fitted.c.team == ref.team, fitted.c.model == ref.model, fitted.c.version == version)
    )
    found = connection.execute(query).first()
    return Pinned(found.entry_id, tuple(found.details["tables"])) if found else None


def _live_readers(connection: Connection, team: str | None) -> Iterator[Reader]:
    versions = list(live(connection, team))
    for version, views in zip(versions, views_of(connection, versions), strict=True):
        for view in views:
            yield Reader(view, "live", str(version.ref), version.version, version.role)


def _views(version: Live, tables_read: Iterable[str]) -> tuple[ViewRef, ...]:
    found = [ViewRef.of_table(table) for table in tables_read] or [ViewRef.of_online(name) for name in _packed(version)]
    return tuple(ref for ref in found if ref is not None)


def _packed(version: Live) -> list[str]:
    """Read a package's manifest, as far as it is one."""
    import msgspec

    from loopline.platform_core.runtime.model import manifest

    with contextlib.suppress(NotFound, msgspec.MsgspecError, OSError):
        return [view.view for view in manifest.load(version.package).views]
    return []


def _announced_reader(row: RowMapping) -> Reader:
    view = ViewRef(row["team"], row["view"], row["version"])
    return Reader(view, row["kind"], row["name"], contact=row["contact"], since=row["since"])


def _order(reader: Reader) -> tuple[ViewRef, str, str, str]:
    return reader.view, reader.kind, reader.name, reader.version
