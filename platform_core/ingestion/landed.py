"""What a landing brought, whichever way it arrived, and how the ledger is told of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loopline.platform_core.foundation import tracing
from loopline.platform_core.loop.entry_kinds import LANDED

if TYPE_CHECKING:
    from loopline.platform_core.ingestion.inbox import Inbox
    from loopline.platform_core.ingestion.refusals import Refusal


@dataclass(frozen=True)
class Landed:
    """What a landing brought: arrivals, rows, dead letters by reason; ``version`` is the raw table's newest."""

    arrivals: int
    refused: tuple[Refusal, ...]
    rows: int
    dead: int
    reasons: Mapping[str, int]
    version: int | None

    def __add__(self, other: Landed) -> Landed:
        """Add up two batches; the later one knows the version."""
        return Landed(
            self.arrivals + other.arrivals,
            self.refused + other.refused,
            self.rows + other.rows,
            self.dead + other.dead,
            Counter(self.reasons) + Counter(other.reasons),
            other.version,
        )


def record_landing(inbox: Inbox, landed: Landed, reason: str, which: Mapping[str, Any]) -> None:
    """Write a landing into the ledger."""
    counts = {"arrivals": landed.arrivals, "rows": landed.rows, "dead": landed.dead, "reasons": dict(landed.reasons)}
    inbox.record(LANDED, reason, {**counts, **which, **tracing.here(version=landed.version)})
