"""Inbox of a source: its contract, its lake tables, and the ids of arrivals that landed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from loopline.platform_core.contracts.event_source import KnownIds
from loopline.platform_core.foundation import names

if TYPE_CHECKING:
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Source, Team
    from loopline.platform_core.specs.contracts.contract_file import RowContract


@dataclass(frozen=True)
class Inbox:
    """One source of one team under the contract as it is now."""

    platform: Platform
    team: str
    source: str
    contract: RowContract

    @classmethod
    def of(cls, platform: Platform, team: Team, source: Source) -> Inbox:
        """Read the source's contract.

        Raises:
            InvalidSpec: with file and line.
        """
        from loopline.platform_core.specs.contracts.odcs import contract_of

        return cls(platform, team.name, source.name, contract_of(team, source))

    @property
    def judged(self) -> RowContract:
        """Return the contract by which rows are judged now: with bounds of the event time where it has none."""
        return self.contract.as_of(self.platform.clock.now())

    @property
    def where(self) -> str:
        """Name the source as the event source does."""
        return f"{self.team}/{self.source}"

    @property
    def raw(self) -> str:
        """Name the table of accepted rows."""
        return names.raw_table(self.team, self.source)

    @property
    def dead_letters(self) -> str:
        """Name the table of rows that broke the contract."""
        return names.dead_letter_table(self.team, self.source)

    @property
    def resolved(self) -> str:
        """Name the table of letters that were replayed since."""
        return names.closed_letter_table(self.team, self.source)

    def record(
        self, kind: str, reason: str, details: Mapping[str, Any], once: str | None = None, actor: str = "platform"
    ) -> None:
        """Write a line into the ledger, with the source and the contract's version."""
        from loopline.platform_core.loop.ledger.ledger import Entry

        every = {"source": self.where, "contract": self.contract.version, **details}
        now = self.platform.clock.now()
        entry = Entry(kind, now, team=self.team, actor=actor, reason=reason, details=every)
        self.platform.ledger.record(entry, once)


ARRIVAL_LANDED = "arrival:"


class LandedIds(KnownIds):
    """The ids of arrivals that landed, and of the contents that did, as a raw table's transactions say."""

    def __init__(
        self,
        committed: Mapping[str, int] | Callable[[], Mapping[str, int]],
        mark: str = "",
        since: tuple[str, Mapping[str, int]] | None = None,
    ) -> None:
        """Take the raw table's transactions; they are not copied, of which there may be a hundred thousand.

        With those ``since`` a mark all of them are only read when they are asked for.
        """
        self._given, self.mark = committed, mark
        self.since, self._newer = since or ("", {})
        self.newer = frozenset(_arrivals(self._newer))
        self._count = len(self._newer if callable(committed) else committed)

    @cached_property
    def _committed(self) -> Mapping[str, int]:
        return self._given() if callable(self._given) else self._given

    def __contains__(self, arrival_id: object) -> bool:
        """Say whether one landed."""
        return f"{ARRIVAL_LANDED}{arrival_id}" in self._committed

    def __rsub__(self, ids: AbstractSet[str]) -> set[str]:
        """Return those of some ids that did not land, without a call for each."""
        return {one for one in ids if ARRIVAL_LANDED + one not in self._committed}

    def __eq__(self, other: object) -> bool:
        """Say whether nothing landed between the two: transactions are only added."""
        if not isinstance(other, LandedIds):
            return NotImplemented
        if self.since or other.since:
            return (self.since, self.mark) == (other.since, other.mark)
        return self._committed is other._committed and self._count == other._count

    def __hash__(self) -> int:
        """Return what equal ones have in common."""
        return hash((self.since, self.mark) if self.since else (id(self._committed), self._count))

    def __iter__(self) -> Iterator[str]:
        """List them."""
        return iter(_arrivals(self._committed))

    def __len__(self) -> int:
        """Count them."""
        return len(_arrivals(self._committed))


def _arrivals(committed: Mapping[str, int]) -> list[str]:
    """List their ids without a call for each."""
    length = len(ARRIVAL_LANDED)
    return [name[length:] for name in committed if name[:length] == ARRIVAL_LANDED]


def application(arrival_id: str) -> str:
    """Name an arrival's transaction, in the raw table and in the dead letters."""
    return f"{ARRIVAL_LANDED}{arrival_id}"
