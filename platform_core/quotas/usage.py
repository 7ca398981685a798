"""Usage of each quota, for people, alarms and metrics."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from loopline.platform_core.loop import watchdog_looks
from loopline.platform_core.quota_settings import size

if TYPE_CHECKING:
    from loopline.platform_core.loop.ledger.ledger import Ledger

LOOK = "quotas"
FULL = 0.99
"""Where so much of bytes is used there is no room for most that would be written."""
MUCH = 0.8


class Usage(msgspec.Struct, frozen=True):
    """A quota: what is used of it, None where nobody could tell, and what that counts."""

    name: str
    used: float | None
    limit: float
    note: str = ""

    @property
    def share(self) -> float | None:
        """Return how much of it is used, 1 for all; of one that allows nothing, all is as soon as any is."""
        if self.used is None:
            return None
        return self.used / self.limit if self.limit else float(self.used > 0)

    def shown(self, amount: float | None) -> str:
        """Write an amount of it for people."""
        if amount is None:
            return "not known"
        return size(amount) if self.name.endswith("_bytes") else f"{amount:.4g}"

    def __str__(self) -> str:
        """Say it in a line."""
        share = self.share
        percent = "" if share is None else f", {share:.0%}"
        return f"{self.shown(self.used)} of {self.shown(self.limit)}{percent}"


def leave(ledger: Ledger, found: Iterable[Usage]) -> None:
    """Leave word of what is used, for who asks without asking everybody."""
    watchdog_looks.note(ledger, LOOK, msgspec.json.encode([*found]).decode())


def left(ledger: Ledger) -> list[Usage]:
    """Return what was left last; nothing where nobody looked."""
    found = watchdog_looks.seen(ledger, LOOK)
    return msgspec.json.decode(found.found, type=list[Usage]) if found else []
