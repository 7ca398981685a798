"""Cache of the portal between requests: answers are kept until what they rest on has changed."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from typing import TYPE_CHECKING

from loopline.platform_core.features.registry.extents import Extents
from loopline.platform_core.features.registry.readers import Reader, announced, counts, live, views_of
from loopline.platform_core.ingestion.letters.letter_tally import Tallies
from loopline.portal.actions.once import Once

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from loopline.platform_core.contracts.lake import Lake
    from loopline.platform_core.features.registry.readers import Live
    from loopline.platform_core.features.registry.view_ref import ViewRef
    from loopline.platform_core.ingestion.letters.letter_pages import Counts
    from loopline.portal.actions.action import Outcome
    from loopline.portal.feature_rows import Declared, Held


class Caches:
    """Held by the application, used by many threads."""

    def __init__(self) -> None:
        self.extents = Extents()
        self.tallies = Tallies()
        self.outcomes: Once[Outcome] = Once()
        self.declared: dict[str, Declared] = {}
        self._registry: tuple[Hashable, Held] | None = None
        self._read: dict[Live, tuple[ViewRef, ...]] = {}
        self._counts: dict[tuple[str, str], Counts] = {}
        self._lock = threading.Lock()

    def registry(self, stamp: Hashable, read: Callable[[], Held]) -> Held:
        """Return what ``read`` gives, or gave at the same stamp."""
        known = self._registry
        if known is None or known[0] != stamp:
            self._registry = known = (stamp, read())
        return known[1]

    def readers(self, connection: Connection, team: str) -> list[Reader]:
        """Return who reads a team's views, in no order."""
        found = [
            Reader(view, "live", str(version.ref), version.version, version.role)
            for version, views in self._live(connection, team)
            for view in views
        ]
        return [*announced(connection, team), *found]

    def readings(self, connection: Connection) -> dict[tuple[ViewRef, str], int]:
        """Count who reads a version, by its kind; a model with a stable version and a candidate counts once."""
        live_ones = {(view, version.ref) for version, views in self._live(connection) for view in views}
        return {**counts(connection), **Counter((view, "live") for view, _ in live_ones)}

    def _live(self, connection: Connection, team: str | None = None) -> Iterator[tuple[Live, tuple[ViewRef, ...]]]:
        """Yield the live versions with the views that they read; what a version has learnt from is asked once."""
        versions = list(live(connection, team))
        unknown = [version for version in versions if version not in self._read]
        if unknown:
            self._read |= zip(unknown, views_of(connection, unknown), strict=True)
        return ((version, self._read[version]) for version in versions)

    def letters(self, lake: Lake, team: str, source: str) -> Counts:
        """Count a source's open dead letters; as long as its tables do not change they are counted once."""
        from loopline.platform_core.ingestion.letters import letter_pages

        with self._lock:
            known = self._counts.get((team, source))
        found = letter_pages.count(lake, team, source, known)
        with self._lock:
            self._counts[team, source] = found
        return found
