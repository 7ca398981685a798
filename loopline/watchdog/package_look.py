"""Watchdog check of endpoints that refuse a model package (failed signature)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from loopline.platform_core.alarms.alarm import Alarm
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.ledger import tables
from loopline.platform_core.signing.trust import SAID
from loopline.watchdog.look import Looked

if TYPE_CHECKING:
    from loopline.platform_core.platform import Platform

_FIX = "find out who changed it; then train the version anew, or have a known trainer sign it"


@dataclass(frozen=True)
class PackageLook:
    """Looks at what endpoints, and the shadows beside them, say of themselves."""

    platform: Platform

    def look(self) -> Looked:
        """Does an endpoint refuse what it should load?"""
        return Looked(tuple(self._refused()))

    def _refused(self) -> Iterator[Alarm]:
        for ref in self._deployed():
            said = self.platform.serving.observe(ref.dotted).problem
            if SAID in said:
                yield Alarm(f"package:{ref}", "error", said.partition(" → ")[0], _FIX, ref)

    def _deployed(self) -> list[ModelRef]:
        column = tables.deployments.c
        with self.platform.ledger.reading() as connection:
            found = [ModelRef(*row) for row in connection.execute(select(column.team, column.model))]
        return [ref for ref in found if self.platform.environment.is_here(ref.team)]
