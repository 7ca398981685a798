"""Pending sign-ins at an identity provider: valid once, for ten minutes, and for the same browser."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, insert, select

from loopline.platform_core.errors import BadRequest, Overloaded
from loopline.platform_core.identity.sessions import digest
from loopline.platform_core.identity.tables import started

if TYPE_CHECKING:
    from loopline.platform_core.loop.ledger.ledger import Ledger

LASTS_SECONDS = 600.0
MOST = 10_000
"""So many may be on their way at once: whoever begins needs no right to, so the table has an end."""
_SECOND = 1_000_000
_column = started.c


@dataclass(frozen=True)
class Way:
    """What goes along with one who is on the way, and stays here: ``destination`` is where he wanted to go."""

    nonce: str
    verifier: str
    destination: str


@dataclass(frozen=True)
class Started:
    """Those who are on their way."""

    ledger: Ledger
    now: Callable[[], float] = time.time

    def begin(self, browser: str, destination: str) -> tuple[str, Way]:
        """Begin, bound to a browser by its cookie; return the state that goes to the provider and comes back.

        Raises:
            Overloaded: too many are on their way.
        """
        state, now = secrets.token_urlsafe(32), round(self.now() * _SECOND)
        way = Way(secrets.token_urlsafe(32), secrets.token_urlsafe(64), destination)
        row = {"state": digest(state), "browser": digest(browser), "began_us": now, **vars(way)}
        with self.ledger.writing() as connection:
            connection.execute(delete(started).where(_column.began_us <= now - round(LASTS_SECONDS * _SECOND)))
            if int(connection.scalar(select(func.count()).select_from(started)) or 0) >= MOST:
                raise Overloaded("too many are signing in at once", "try again in a few minutes", LASTS_SECONDS)
            connection.execute(insert(started), row)
        return state, way

    def take(self, state: str, browser: str) -> Way:
        """Return what was kept, once.

        Raises:
            BadRequest: nobody began with this state, it was used or is too old, or another browser began.
        """
        oldest = round((self.now() - LASTS_SECONDS) * _SECOND)
        with self.ledger.writing() as connection:
            row = connection.execute(select(started).where(_column.state == digest(state))).one_or_none()
            if row is not None and row.browser == digest(browser):
                gone = connection.execute(delete(started).where(_column.state == row.state)).rowcount
                if gone and row.began_us > oldest:
                    return Way(row.nonce, row.verifier, row.destination)
        raise BadRequest(
            "this sign-in was not begun by this browser, was used already, or took too long", "sign in again", 403
        )
