"""Sign-in sessions of browsers and commands: the ledger's database keeps the hash of each token."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select, update

from loopline.platform_core.identity.caller import Caller
from loopline.platform_core.identity.tables import sessions

if TYPE_CHECKING:
    from loopline.platform_core.loop.ledger.ledger import Ledger

PREFIX = "lls_"
"""By which a session is told from other things that are shown as a bearer's."""
SEEN_SECONDS = 60.0
"""That a session is used is written down so often at most."""
_BYTES = 32
_SECOND = 1_000_000
_column = sessions.c


@dataclass(frozen=True)
class Ended:
    """A session that is over: whose it was, and what the provider knows it by."""

    caller: Caller
    id_token: str


@dataclass(frozen=True)
class Sessions:
    """The sessions of an installation, by the wall's time (``now`` in seconds since 1970).

    One ends ``idle_seconds`` after it was last used, ``longest_seconds`` after it began, or when somebody ends it.
    """

    ledger: Ledger
    idle_seconds: float
    longest_seconds: float
    now: Callable[[], float] = time.time

    def begin(self, caller: Caller, id_token: str = "", instead_of: str = "") -> str:
        """Begin a session and return its word, which is new whatever the browser had: that one ends."""
        word, now = PREFIX + secrets.token_urlsafe(_BYTES), self._now()
        row = {
            "digest": digest(word),
            "name": caller.name,
            "issuer": caller.issuer,
            "service": caller.service,
            "member_of": sorted(caller.groups),
            "seen_us": now,
            "idle_us": round(self.idle_seconds * _SECOND),
            "ends_us": now + round(self.longest_seconds * _SECOND),
            "id_token": id_token,
        }
        with self.ledger.writing() as connection:
            over = (_column.ends_us <= now) | (_column.seen_us + _column.idle_us <= now)
            connection.execute(delete(sessions).where(over | (_column.digest == digest(instead_of))))
            connection.execute(insert(sessions), row)
        return word

    def caller(self, word: str, used: bool = True) -> Caller | None:
        """Return whose session it is; None for one that is unknown or over. Looking on (not ``used``) keeps none."""
        now = self._now()
        with self.ledger.reading() as connection:
            row = connection.execute(select(sessions).where(_column.digest == digest(word))).one_or_none()
        if row is None or row.ends_us <= now or row.seen_us + row.idle_us <= now:
            return None
        if used and now - row.seen_us > min(SEEN_SECONDS * _SECOND, row.idle_us / 4):
            with self.ledger.writing() as connection:
                mine = _column.digest == row.digest
                connection.execute(update(sessions).where(mine, _column.seen_us < now).values(seen_us=now))
        return _caller(row)

    def end(self, word: str) -> Ended | None:
        """End a session; None for one that is not there."""
        with self.ledger.writing() as connection:
            mine = _column.digest == digest(word)
            row = connection.execute(select(sessions).where(mine)).one_or_none()
            connection.execute(delete(sessions).where(mine))
        return None if row is None else Ended(_caller(row), row.id_token)

    def end_all(self, name: str, issuer: str = "") -> int:
        """End every session of a person, and return how many there were."""
        mine = (_column.name == name, _column.issuer == issuer)
        with self.ledger.writing() as connection:
            return int(connection.execute(delete(sessions).where(*mine)).rowcount)

    def end_those(self, issuer: str, are: Callable[[str], bool]) -> list[Caller]:
        """End those sessions that a provider vouched for and whose ID tokens ``are`` such; return whose they were."""
        mine = (_column.issuer == issuer, _column.id_token != "")
        with self.ledger.writing() as connection:
            rows = [row for row in connection.execute(select(sessions).where(*mine)) if are(row.id_token)]
            connection.execute(delete(sessions).where(_column.digest.in_([row.digest for row in rows])))
        return [_caller(row) for row in rows]

    def lasting(self, longest_seconds: float) -> Sessions:
        """Return the same, for sessions that last so long however seldom they are used."""
        return replace(self, idle_seconds=longest_seconds, longest_seconds=longest_seconds)

    def _now(self) -> int:
        return round(self.now() * _SECOND)


def digest(word: str) -> str:
    """Return the hash under which a word is kept: of so many random bytes it cannot be guessed back."""
    return hashlib.sha256(word.encode("utf-8", "surrogateescape")).hexdigest()


def _caller(row: Any) -> Caller:
    groups = frozenset(map(str, row.member_of))
    return Caller(row.name, groups, row.service, row.issuer, row.digest[:16])
