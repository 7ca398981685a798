"""How far a view is materialized, and what is known of the raw rows on which its rows rest."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loopline.platform_core.features.meaning import meaning_of
from loopline.platform_core.foundation.names import raw_table, view_table

if TYPE_CHECKING:
    from loopline.platform_core.features.reach import Tables

WHOLE_BELOW = 10_000
"""Raw rows below which a view is always computed whole: few rows cost little, and show little of what it rests on."""
TRIED_AGAIN = 2
"""When a view has so many times the raw rows on which it was tried, it is computed whole and tried again."""


@dataclass(frozen=True)
class Standing:
    """What the view's table says of itself, in transactions of its own commits.

    ``version`` is the table's (None: never written), ``done`` the raw version up to which it goes (-1: none).
    ``proof`` names the transaction that says what its rows rest on, ``seen`` the one that counts the raw rows behind
    it, ``ahead`` and ``shown`` those of rows that wait for their time (see ``waiting``); ``committed`` holds them all.
    """

    version: int | None
    raw_version: int | None
    proof: str
    application: str
    seen: str
    committed: Mapping[str, int]
    declared_on_all: bool = False
    ahead: str = ""
    shown: str = ""

    @property
    def waits(self) -> bool:
        """Say whether rows wait for their time."""
        return self.committed.get(self.ahead, 0) > self.committed.get(self.shown, 0)

    @property
    def done(self) -> int:
        """Return the version of the raw table up to which the view is materialized."""
        return self.committed.get(self.application, -1)

    @property
    def nothing_new(self) -> bool:
        """Say whether the raw table has no version that the view has not seen."""
        return self.raw_version is None or self.done >= self.raw_version

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


def standing(tables: Tables) -> Standing:
    """Look at the tables of a view, and at no row.

    The proof holds for what the view means now, what it says of its look back, and what names a raw row: changed, it
    is tried anew on all rows.
    """
    team, view, lake = tables.team, tables.view, tables.platform.lake
    table, means = view_table(team.name, view), meaning_of(tables.platform, view, tables.contract).hash
    named = f":{','.join(tables.key)}" if tables.key else ""
    digest = hashlib.sha256(f"{means}:{view.lookback_days}{named}".encode()).hexdigest()[:16]
    proof, application, seen = f"rests:{view.name}:{digest}", f"view:{view.name}", f"rows:{view.name}"
    ahead, shown = f"ahead:{view.name}", f"shown:{view.name}"
    return Standing(
        version=lake.version(table),
        raw_version=lake.version(raw_table(team.name, view.source.name)),
        proof=proof,
        application=application,
        seen=seen,
        committed=lake.committed(table, [application, proof, seen, ahead, shown]),
        declared_on_all=view.rests_on == "all",
        ahead=ahead,
        shown=shown,
    )
