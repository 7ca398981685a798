"""What the portal keeps between requests: answers that hold until something newer is told."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from loopline.portal.actions.once import Once
from platform_core.features.extents import Extents

if TYPE_CHECKING:
    from loopline.portal.actions.action import Outcome
    from platform_core.contracts.lake import Lake
    from platform_core.ingestion.letter_pages import Counts


class Kept:
    """Held by the application, used by many threads."""

    def __init__(self) -> None:
        self.extents = Extents()
        self.outcomes: Once[Outcome] = Once()
        self._counts: dict[tuple[str, str], Counts] = {}
        self._lock = threading.Lock()

    def letters(self, lake: Lake, team: str, source: str) -> Counts:
        """Count a source's open dead letters; as long as its tables do not change they are counted once."""
        from platform_core.ingestion import letter_pages

        with self._lock:
            known = self._counts.get((team, source))
        found = letter_pages.count(lake, team, source, known)
        with self._lock:
            self._counts[team, source] = found
        return found
