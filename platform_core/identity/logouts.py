"""Logout tokens of an identity provider that were used: each is accepted once, across processes."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select
from sqlalchemy.exc import IntegrityError

from loopline.platform_core.identity.sessions import digest
from loopline.platform_core.identity.tables import logouts

if TYPE_CHECKING:
    from loopline.platform_core.loop.ledger.ledger import Ledger

_SECOND = 1_000_000
_column = logouts.c


@dataclass(frozen=True)
class Logouts:
    """Those that have come; by the wall's time."""

    ledger: Ledger
    now: Callable[[], float] = time.time

    def came(self, once: str) -> bool:
        """Say whether one has come before."""
        with self.ledger.reading() as connection:
            return connection.scalar(select(_column.once).where(_column.once == digest(once))) is not None

    def remember(self, once: str, seconds: float) -> None:
        """Remember one that was heard, for so long at least; one that comes twice at once is heard twice."""
        now = round(self.now() * _SECOND)
        with suppress(IntegrityError), self.ledger.writing() as connection:
            connection.execute(delete(logouts).where(_column.at_us <= now - round(seconds * _SECOND)))
            connection.execute(insert(logouts), {"once": digest(once), "at_us": now})
