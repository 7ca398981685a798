"""Open ingestion problems of a source: refused files, and arrivals that are mostly dead letters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loopline.platform_core.ingestion.letters import dead_shares, refusals

if TYPE_CHECKING:
    from loopline.platform_core.ingestion.letters.dead_shares import Share
    from loopline.platform_core.ingestion.letters.refusals import Refusal
    from loopline.platform_core.loop.ledger.ledger import Ledger


@dataclass(frozen=True)
class Troubles:
    """Both, each the oldest first."""

    refused: Sequence[Refusal]
    mostly_dead: Sequence[Share]


def troubles(ledger: Ledger, team: str, source: str) -> Troubles:
    """Read them from the ledger."""
    refused = refusals.refusals(ledger, team, source).standing.values()
    return Troubles([*refused], dead_shares.standing(ledger, team, source))
