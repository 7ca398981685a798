"""Registration of applications as readers of feature views, and its withdrawal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, Connection, and_, delete, insert, select

from loopline.platform_core.errors import NotFound, Refused
from loopline.platform_core.features import locks
from loopline.platform_core.features.registry.readers import Reader
from loopline.platform_core.features.registry.view_ref import ViewRef
from loopline.platform_core.features.registry.view_table import ViewRecord, read_views
from loopline.platform_core.loop.ledger import tables
from loopline.platform_core.loop.ledger.ledger import Entry, append

if TYPE_CHECKING:
    from datetime import datetime

    from loopline.platform_core.platform import Platform

ANNOUNCED, WITHDRAWN = "feature_reader.announced", "feature_reader.withdrawn"
_reader = tables.feature_readers


def announce(platform: Platform, application: str, views: Sequence[ViewRef], contact: str) -> list[Reader]:
    """Write down that an application reads these versions, all or none; repeated, it renews the contact.

    Raises:
        NotFound: a version is not registered. Refused: it is retired.
    """
    wanted, now = sorted(set(views)), platform.clock.now()
    with platform.ledger.writing() as connection:
        locks.hold(connection, (locks.of_team(view.team) for view in wanted))
        for view in wanted:
            if known(connection, view).state == "retired":
                raise Refused(f"feature view {view} is retired", "read a version that is active (GET /features)")
        return [
            _announced(connection, Reader(view, "application", application, "", "", contact, now)) for view in wanted
        ]


def withdraw(platform: Platform, application: str, view: ViewRef | None) -> int:
    """Forget that an application reads a version, or (None) anything; returns how many versions it read.

    Raises:
        NotFound: it had announced no such thing.
    """
    with platform.ledger.writing() as connection:
        found = [
            ViewRef(row["team"], row["view"], row["version"])
            for row in connection.execute(select(_reader).where(_own(application, view))).mappings()
        ]
        if not found:
            what = f" of {view}" if view else ""
            raise NotFound(f"application {application!r} has announced no reading{what}", "see GET /consumers")
        connection.execute(delete(_reader).where(_own(application, view)))
        for ref in found:
            append(connection, _entry(WITHDRAWN, application, ref, platform.clock.now()))
    return len(found)


def known(connection: Connection, view: ViewRef) -> ViewRecord:
    """Return a version of a view inside a transaction.

    Raises:
        NotFound: it is not registered.
    """
    held = read_views(connection, view.team)
    if view not in held:
        versions = ", ".join(str(ref) for ref in held if ref.view == view.view)
        raise NotFound(f"no feature view {view} is registered", f"registered are {versions or 'no versions of it'}")
    return held[view]


def _announced(connection: Connection, reader: Reader) -> Reader:
    own, view = _own(reader.name, reader.view), reader.view
    since = connection.scalar(select(_reader.c.since).where(own))
    if since is not None:
        connection.execute(delete(_reader).where(own))
    elif reader.since is not None:
        append(connection, _entry(ANNOUNCED, reader.name, view, reader.since))
    kept = {"kind": reader.kind, "name": reader.name, "contact": reader.contact, "since": since or reader.since}
    connection.execute(insert(_reader).values(**kept, **view._asdict()))
    return Reader(view, reader.kind, reader.name, contact=reader.contact, since=since or reader.since)


def _own(application: str, view: ViewRef | None) -> ColumnElement[bool]:
    own = and_(_reader.c.kind == "application", _reader.c.name == application)
    if view is None:
        return own
    return and_(own, _reader.c.team == view.team, _reader.c.view == view.view, _reader.c.version == view.version)


def _entry(kind: str, application: str, view: ViewRef, now: datetime) -> Entry:
    details = {"view": view.view, "application": application}
    said = f"{application} reads {view}" if kind == ANNOUNCED else f"{application} reads {view} no longer"
    return Entry(kind, now, view.team, version=str(view.version), actor=application, reason=said, details=details)
