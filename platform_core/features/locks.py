"""Database locks by name (PostgreSQL's advisory locks), held until the transaction ends."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, text

from loopline.platform_core.foundation.names import ModelRef


def of_team(team: str) -> ModelRef:
    """Name the lock of a team's part of the feature registry."""
    return ModelRef(team, "")


def hold(connection: Connection, refs: Iterable[ModelRef]) -> None:
    """Wait for whoever writes under these names; others wait until the transaction ends. Always in one order."""
    if connection.dialect.name == "postgresql":  # SQLite has one writer anyway
        for ref in sorted(set(refs)):
            connection.execute(text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": ref.dotted})
