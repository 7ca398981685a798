"""Audit retention settings of an environment file: how many days entries are kept, by kind.

::

    audit:
      retention_days: {data.: 400, attempt.denied: 730, default: 3650}

What nothing names is kept for ever, and so is what retention itself writes. Nothing is kept for less than half a year,
which is the least that the AI Act asks of whoever deploys (Article 26(6)). A policy is an entry of the record, and one
that keeps for less counts only after it has stood there for thirty days.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from loopline.platform_core.errors import ContractBroken, InvalidEnvironment

if TYPE_CHECKING:
    from loopline.platform_core.foundation.located_yaml import Located

FLOOR = timedelta(days=183)
"""Nothing is kept for less; the database's own triggers hold that too."""
NOTICE = timedelta(days=30)
"""How long a policy must have stood in the record before it shortens anything."""
MOST_DAYS = 36_500
SET, RETAINED = "audit.retention_set", "audit.retained"
OURS = frozenset({SET, RETAINED})
KEY = "retention_days"
_ELSE = "default"
_FOR_EVER = "for ever"
_PART = re.compile(rf"({_ELSE}|[A-Za-z0-9_]+\.[A-Za-z0-9_]*)=([0-9]{{1,5}})")


@dataclass(frozen=True)
class Retention:
    """Days by what an entry tells: ``noun.verb``, ``noun.`` for all of a noun, ``default`` for the rest."""

    days: Mapping[str, int] = field(default_factory=dict)

    def keeps(self, what: str) -> int | None:
        """Return for how many days such an entry is kept; None for ever."""
        if what in OURS:
            return None
        noun = what.partition(".")[0] + "."
        return next((self.days[name] for name in (what, noun, _ELSE) if name in self.days), None)

    def shortens(self, before: Retention) -> bool:
        """Say whether anything is kept for less than before."""
        named = {*self.days, *before.days, _ELSE}
        return any(_less(self.keeps(name), before.keeps(name)) for name in named)

    @property
    def text(self) -> str:
        """Return what its entry in the record says."""
        return " ".join(f"{name}={days}" for name, days in sorted(self.days.items())) or _FOR_EVER


def parsed(text: str) -> Retention:
    """Read what an entry of the record says.

    Raises:
        ContractBroken: it is no policy.
    """
    if text == _FOR_EVER:
        return Retention()
    found = [_PART.fullmatch(part) for part in text.split(" ")]
    if not all(found):
        raise ContractBroken(f"{text!r} says of nothing how long it is kept", "see who wrote into the record")
    return Retention({one[1]: int(one[2]) for one in found if one})


@dataclass(frozen=True)
class Holding:
    """Policies with the time at which each was sealed, the oldest first; before the first all is kept for ever."""

    since: Sequence[tuple[datetime, Retention]]

    def keeps(self, what: str, at: datetime) -> int | None:
        """Return the most that any policy which held in the thirty days before asked for; None for ever."""
        began = at - NOTICE
        before = [policy for since, policy in self.since if since <= began]
        held = [policy for since, policy in self.since if began < since <= at]
        asked = [policy.keeps(what) for policy in [before[-1] if before else Retention(), *held]]
        known = [days for days in asked if days is not None]
        return None if len(known) < len(asked) else max(*known, FLOOR.days)

    def shortens_at(self, now: datetime) -> datetime | None:
        """Return when, by the policies that stand there, something is first kept for less than now; None for never.

        All that count are looked at: one that follows at once and keeps a little longer would hide the one before.
        """
        kept, coming = self._at(now), sorted(since + NOTICE for since, _ in self.since if since + NOTICE > now)
        return next((at for at in coming if self._at(at).shortens(kept)), None)

    def _at(self, at: datetime) -> Retention:
        """Return what all that count at a time come to: where one names nothing, the rest of it is kept for ever."""
        named = {_ELSE, *(name for _, policy in self.since for name in policy.days)}
        return Retention({name: days for name in named if (days := self.keeps(name, at)) is not None})


def read(document: Located, data: Mapping[str, Any]) -> Retention | None:
    """Read what a file says; None where it says nothing.

    Raises:
        InvalidEnvironment: with ``file:line``: something is kept for less than half a year, or is no number of days.
    """
    audit = data.get("audit")
    if not isinstance(audit, dict) or KEY not in audit:
        return None
    found, place = audit[KEY], ("audit", KEY)
    if not isinstance(found, dict) or not found:
        raise InvalidEnvironment(f"{document.at(*place)}: {KEY} is no mapping", f"write {KEY}: {{{_ELSE}: 3650}}")
    for name, days in found.items():
        if not isinstance(days, int) or isinstance(days, bool) or not FLOOR.days <= days <= MOST_DAYS:
            raise InvalidEnvironment(
                f"{document.at(*place, str(name))}: {name} is kept for {days!r} days",
                f"write a whole number from {FLOOR.days} to {MOST_DAYS}: the law asks for half a year at least",
            )
        if not isinstance(name, str) or not _is_kind(name):
            raise InvalidEnvironment(
                f"{document.at(*place, str(name))}: {name!r} is nothing that an entry tells",
                f"write noun.verb such as gate.overridden, 'gate.' for all of a noun, or {_ELSE}",
            )
    return Retention(dict(found))


def _is_kind(name: str) -> bool:
    return name == _ELSE or ("." in name and name not in OURS and _PART.fullmatch(f"{name}=1") is not None)


def _less(one: int | None, other: int | None) -> bool:
    return one is not None and (other is None or one < other)
