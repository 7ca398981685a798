"""Deployment check: refuses a version whose features are gone or mean something else since training."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, select

from loopline.platform_core.errors import Refused
from loopline.platform_core.features.registry import view_table
from loopline.platform_core.features.registry.meaning import Meaning, differences
from loopline.platform_core.features.registry.readers import pinned
from loopline.platform_core.features.registry.view_ref import ViewRef
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.ledger import tables

_entry = tables.entries.c


def refuse_outdated(connection: Connection, ref: ModelRef, version: str) -> None:
    """Compare what a version's views meant when its training set was pinned with what they mean now.

    It holds within a transaction that has the model's lock: a registration waits for that. Views that were not
    registered when the version was trained, and versions that no cycle made, are let through.

    Raises:
        Refused: a view was retired or changed since.
    """
    said = list(_outdated(connection, ref, version))
    if said:
        problem = f"version {version} of {ref} learnt from features that are no longer so: {'; '.join(said)}"
        raise Refused(problem, "train a new version: open another cycle")


def _outdated(connection: Connection, ref: ModelRef, version: str) -> Iterator[str]:
    training_set = pinned(connection, ref, version)
    if training_set is None:
        return
    views, held = (
        [ViewRef.of_table(table) for table in training_set.tables],
        view_table.read_views(connection, ref.team),
    )
    for view in views:
        then = _meant(connection, view, training_set.entry_id) if view in held else None
        if view is None or then is None:
            continue
        if held[view].state == "retired":
            yield f"{view} is retired"
        elif _stands_for(connection, view, training_set.entry_id, then.hash) == held[view].meaning.hash:
            continue  # mended, and it gives what it gave
        elif what := differences(then, held[view].meaning):
            yield f"{view} changed since ({', '.join(what)})"


def _stands_for(connection: Connection, view: ViewRef, after: int, meaning: str) -> str:
    """Return the meaning that stands for another one since, changed only by what mended a view that failed."""
    query = (
        select(_entry.details)
        .where(_entry.team == view.team, _entry.model == "", _entry.kind == view_table.CHANGED)
        .where(_entry.version == str(view.version), _entry.entry_id > after)
        .order_by(_entry.entry_id)
    )
    for details in connection.scalars(query):
        if details["view"] == view.view and details.get("mends") == meaning:
            meaning = details["meaning"]
    return meaning


def _meant(connection: Connection, view: ViewRef | None, before: int) -> Meaning | None:
    """Return what a version of a view meant when the ledger had come to an entry."""
    if view is None:
        return None
    kinds = (view_table.REGISTERED, view_table.CHANGED)
    query = (
        select(_entry.details)
        .where(_entry.team == view.team, _entry.model == "", _entry.kind.in_(kinds))
        .where(_entry.version == str(view.version), _entry.entry_id < before)
        .order_by(_entry.entry_id.desc())
    )
    of_view = (details for details in connection.scalars(query) if details["view"] == view.view)
    return next((Meaning.from_json(details["definition"]) for details in of_view), None)
