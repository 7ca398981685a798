"""Watchdog checks of endpoints that do not answer, silent sites, and cycles that were not promoted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import select

from loopline.platform_core.alarms.alarm import Alarm
from loopline.platform_core.contracts.notifier import Severity
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.ledger import tables
from loopline.platform_core.loop.sites import heartbeats
from loopline.watchdog.look import Bounds, Looked

if TYPE_CHECKING:
    from loopline.platform_core.platform import Platform

FIX: dict[str, tuple[Severity, str]] = {
    "rejected": (
        "info",
        "nothing must be done: the old version answers; 'loopline gate show' says what it fell short of",
    ),
    "rolled_back": (
        "info",
        "nothing must be done: the old version answers; 'loopline history' says what the judges saw",
    ),
    "failed": ("warning", "look at the cycle's last run, then 'loopline cycle start'"),
}


@dataclass(frozen=True)
class LoopLooks:
    """Looks at endpoints and cycles."""

    platform: Platform
    bounds: Bounds

    def serving(self) -> Looked:
        """Does everything that is deployed answer? When nothing does, that is one alarm, not one a model."""
        deployed = self._deployed()
        silent = {ref: said for ref in deployed if (said := self._silent(ref)) is not None}
        if silent and len(silent) == len(deployed):
            models = ", ".join(map(str, silent))
            said = f"no model answers ({models}): {next(iter(silent.values()))}"
            fix = "look into the inference server's log; 'loopline up' starts it again, six times in a row at most"
            return Looked((Alarm("serving", "error", said, fix),), blind=("serving:",))
        return Looked(tuple(_unready(ref, said) for ref, said in silent.items()))

    def sites(self) -> Looked:
        """Was every site at which something is live heard of lately? What it answers meanwhile nobody here knows."""
        now = heartbeats.now_at(self.platform.ledger)
        told = sorted(heartbeats.told(self.platform.ledger), key=lambda one: one.seen_at)
        last = {one.site: one for one in told if one.site in self.platform.environment.sites.names}
        return Looked(tuple(_unheard(site, one.seen_at) for site, one in last.items() if one.silent(now)))

    def cycles(self) -> Looked:
        """Which model's newest turn did not end well? It stands until the next one does, or a week has gone."""
        return Looked(tuple(self._unhappy()))

    def _deployed(self) -> list[ModelRef]:
        column = tables.deployments.c
        query = select(column.team, column.model).where(column.stable.is_not(None)).order_by(column.team, column.model)
        with self.platform.ledger.reading() as connection:
            every = [ModelRef(*row) for row in connection.execute(query)]
        return [ref for ref in every if self.platform.environment.is_here(ref.team)]

    def _silent(self, ref: ModelRef) -> str | None:
        """Return why a model does not answer; None when it does."""
        seen = self.platform.serving.observe(ref.dotted)
        return None if seen.ready else seen.problem or "it is not ready"

    def _unhappy(self) -> Iterator[Alarm]:
        column = tables.cycles.c
        since = self.platform.clock.now() - self.bounds.recent
        query = select(tables.cycles).where(column.closed_at > since).order_by(column.entry_id)
        with self.platform.ledger.reading() as connection:
            newest = {ModelRef(row.team, row.model): row for row in connection.execute(query)}
        for ref, row in newest.items():
            if row.state in FIX:
                severity, fix = FIX[row.state]
                said = f"cycle {row.cycle_id} {row.state.replace('_', ' ')}: {row.verdict}"
                yield Alarm(f"cycle:{row.cycle_id}", severity, said, fix, ref)


def _unheard(site: str, at: datetime) -> Alarm:
    said = (
        f"nothing was heard of site {site} since {at:%Y-%m-%d %H:%M:%S}: it is cut off, or its code servers do not run"
    )
    fix = (
        "its endpoints may answer all the same, and what they answered comes when it is back; see the wire and its pods"
    )
    return Alarm(f"site:{site}", "error", said, fix)


def _unready(ref: ModelRef, said: str) -> Alarm:
    fix = "look into the inference server's log; 'loopline model status' says which version it should be"
    return Alarm(f"serving:{ref}", "error", f"{ref} does not answer: {said}", fix, ref)
