"""Watermarks: how far each view is materialized, and the version of the raw rows that it covers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loopline.platform_core.features.registry.meaning import meaning_of
from loopline.platform_core.foundation.names import raw_table, view_table

if TYPE_CHECKING:
    from loopline.platform_core.contracts.lake import Lake
    from loopline.platform_core.features.compute.row_scope import Tables
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import FeatureView, Team

WHOLE_BELOW = 10_000
"""Raw rows below which a view is always computed whole: few rows cost little, and show little of what it rests on."""
TRIED_AGAIN = 2
"""When a view has so many times the raw rows on which it was tried, it is computed whole and tried again."""


@dataclass(frozen=True)
class Progress:
    """How far a view has come, in transactions of its table's own commits.

    ``version`` is the table's (None: never written), ``raw_version`` that of the raw table. ``application`` names the
    transaction that says up to which raw version it goes, ``ahead`` and ``shown`` those of rows that wait for their
    time (see ``waiting``); ``committed`` holds them.
    """

    version: int | None
    raw_version: int | None
    application: str
    ahead: str
    shown: str
    committed: Mapping[str, int]

    @property
    def waits(self) -> bool:
        """Say whether rows wait for their time."""
        return self.committed.get(self.ahead, 0) > self.committed.get(self.shown, 0)

    @property
    def done(self) -> int:
        """Return the version of the raw table up to which the view is materialized; -1 when it never was."""
        return self.committed.get(self.application, -1)

    @property
    def nothing_new(self) -> bool:
        """Say whether the raw table has no version that the view has not seen."""
        return self.raw_version is None or self.done >= self.raw_version


@dataclass(frozen=True)
class Standing(Progress):
    """How far a view has come, and what is known of the raw rows on which its rows rest.

    ``proof`` names the transaction that says what they rest on, ``seen`` the one that counts the raw rows behind them,
    ``kept`` the one that counts the offline rows that were ever added; ``committed`` holds these as well.
    """

    proof: str
    seen: str
    kept: str
    declared_on_all: bool

    @property
    def proven_rows(self) -> int:
        """Return how many raw rows the view was tried on, as it means now; -1 when never."""
        return self.committed.get(self.proof, -2) // 2

    @property
    def rests_on_its_entity(self) -> bool:
        """Say whether, on those, each entity's rows rested on its own raw rows only, and nothing else is declared."""
        return not self.declared_on_all and bool(self.committed.get(self.proof, 0) % 2)

    @property
    def rows_seen(self) -> int:
        """Return how many raw rows the view has come from; what was written before they were counted: as were tried."""
        return max(self.committed.get(self.seen, -1), self.proven_rows)

    def is_due(self, raw_rows: int) -> bool:
        """Say whether, of so many raw rows, it has grown so much that what it rests on is to be tried again."""
        return raw_rows >= TRIED_AGAIN * max(self.proven_rows, WHOLE_BELOW)

    def counts(self, raw_rows: int) -> Mapping[str, int]:
        """Return the transaction that counts the raw rows behind the view; none when there are no more of them."""
        return {self.seen: raw_rows} if raw_rows > self.committed.get(self.seen, -1) else {}

    def proves(self, raw_rows: int, alone: bool) -> Mapping[str, int]:
        """Return the transaction that keeps the outcome of a trial; none when it was tried on as many rows before."""
        return {self.proof: 2 * raw_rows + alone} if raw_rows > self.proven_rows else {}


def progress(platform: Platform, team: Team, view: FeatureView) -> Progress:
    """Look how far a view has come; at no row, and not at what the view means."""
    return _progress(platform.lake, team, view)


def standing(tables: Tables) -> Standing:
    """Look at the tables of a view, and at no row.

    The proof holds for what the view means now, what it says of its look back, and what names a raw row: changed, it
    is tried anew on all rows.
    """
    view, means = tables.view, meaning_of(tables.platform, tables.view, tables.contract).hash
    named = f":{','.join(tables.key)}" if tables.key else ""
    digest = hashlib.sha256(f"{means}:{view.lookback_days}{named}".encode()).hexdigest()[:16]
    proof, seen, kept = f"rests:{view.name}:{digest}", f"rows:{view.name}", f"kept:{view.name}"
    come = _progress(tables.platform.lake, tables.team, view, proof, seen, kept)
    return Standing(**vars(come), proof=proof, seen=seen, kept=kept, declared_on_all=view.rests_on == "all")


def _progress(lake: Lake, team: Team, view: FeatureView, *others: str) -> Progress:
    table, application = view_table(team.name, view), f"view:{view.name}"
    ahead, shown = f"ahead:{view.name}", f"shown:{view.name}"
    return Progress(
        version=lake.version(table),
        raw_version=lake.version(raw_table(team.name, view.source.name)),
        application=application,
        ahead=ahead,
        shown=shown,
        committed=lake.committed(table, [application, ahead, shown, *others]),
    )
