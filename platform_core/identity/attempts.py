"""Rate limit of failed sign-ins by name and address, across processes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, select, text

from loopline.platform_core.errors import BadRequest
from loopline.platform_core.identity.sessions import digest
from loopline.platform_core.identity.tables import attempts

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection

    from loopline.platform_core.loop.ledger.ledger import Ledger

WINDOW_SECONDS = 900.0
MOST_OF_BOTH, MOST_OF_NAME, MOST_OF_ADDRESS = 5, 50, 100
"""Attempts within the window: of one address at one name, at one name from anywhere, of one address at any name."""
TOO_MANY = 429
_LOCK = 7_104_621
"""PostgreSQL's advisory lock for attempts; any number that no other program takes."""
_SECOND = 1_000_000
_column = attempts.c


@dataclass(frozen=True)
class Attempts:
    """Attempts of the last quarter of an hour that did not succeed, or whose end is not known yet."""

    ledger: Ledger
    now: Callable[[], float] = time.time

    def take(self, name: str, address: str) -> None:
        """Count an attempt before it is made: of many at once no more come through than one after the other.

        Raises:
            BadRequest: 429, there were too many.
        """
        now = round(self.now() * _SECOND)
        named = {"name": digest(name.casefold()), "address": digest(address)}
        by_name, by_address = _column.name == named["name"], _column.address == named["address"]
        bounds = (
            ((by_name, by_address), MOST_OF_BOTH),
            ((by_name,), MOST_OF_NAME),
            ((by_address,), MOST_OF_ADDRESS),
        )
        with self.ledger.writing() as connection:
            if connection.dialect.name == "postgresql":  # SQLite has one writer anyway
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            connection.execute(delete(attempts).where(_column.at_us <= now - round(WINDOW_SECONDS * _SECOND)))
            if any(_count(connection, where) >= most for where, most in bounds):
                raise BadRequest(
                    "too many attempts to sign in failed", "wait a quarter of an hour, then try again", TOO_MANY
                )
            connection.execute(insert(attempts), {**named, "at_us": now})

    def forget(self, name: str, address: str) -> None:
        """Forget the attempts of one address at one name: one has succeeded."""
        mine = (_column.name == digest(name.casefold()), _column.address == digest(address))
        with self.ledger.writing() as connection:
            connection.execute(delete(attempts).where(*mine))


def _count(connection: Connection, where: tuple[ColumnElement[Any], ...]) -> int:
    return int(connection.scalar(select(func.count()).select_from(attempts).where(*where)) or 0)
