"""Result of a landing: its arrivals, rows, and dead letters by reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loopline.platform_core.ingestion.letters.refusals import Refusal


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
