"""In-memory lineage backend: keeps its events in a list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import PrivateAttr

from loopline.platform_core.contracts.lineage import Lineage, RunEvent
from loopline.platform_core.errors import Refused, StoreUnavailable


class InMemoryLineage(Lineage):
    """Keeps events; it is busy or refuses when told so."""

    _told: list[RunEvent] = PrivateAttr(default_factory=list)
    _mood: Literal["well", "busy", "refuses"] = PrivateAttr(default="well")

    def emit(self, events: Sequence[RunEvent]) -> None:
        """Keep them, as the mood allows."""
        if events and self._mood == "busy":
            raise StoreUnavailable("the receiver of lineage is busy", "wait")
        if events and self._mood == "refuses":
            raise Refused("the receiver of lineage refuses", "look at its words")
        for event in events:
            self.keep(event)

    def keep(self, event: RunEvent) -> None:
        """Keep one."""
        self._told.append(event)

    def feel(self, mood: Literal["well", "busy", "refuses"]) -> None:
        """Answer so from now on."""
        self._mood = mood

    @property
    def events(self) -> list[RunEvent]:
        """Return what was told, oldest first."""
        return list(self._told)
