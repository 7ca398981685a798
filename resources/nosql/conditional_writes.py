"""Conditional writes (compare and set): the newest event wins, whoever else writes.

Each round looks at what lies there, decides key by key, and changes a key only on the condition that it still holds
what was seen. What another writer changed first, or what no answer came for, is looked at again: nothing is lost, and
doing it twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from loopline.platform_core.contracts.online_packing import pack, unpack
from loopline.platform_core.contracts.online_store import Keep, Key, OnlineRow
from loopline.platform_core.errors import CommitConflict, Transient
from loopline.resources.nosql.rate_limit import Pace, Patience, Throttled

Replacement = tuple[Key, "OnlineRow | None", int]
"""A key, its row if it has one, and up to which event (µs) a stored row is replaced, or goes."""
Outcome = bool | Transient
"""Of one change: done; not done, since the key holds something else by now; or unknown, with why."""


class Held(NamedTuple):
    """What lies under a key: the packed row, what names this state of it, and whether it still counts."""

    packed: bytes
    seal: Any
    counts: bool


class Seen(NamedTuple):
    """What was found, and the time (µs since 1970) by which its expiry is told."""

    now_us: int
    rows: Mapping[Key, Held]


class Change(NamedTuple):
    """Put ``packed`` under a key until ``until_us``, or take away what is there, if it has the state ``seal``."""

    key: Key
    packed: bytes | None
    until_us: int | None
    seal: Any


class Rows(Protocol):
    """The rows of one view at a service."""

    def refuse_too_large(self, key: Key, packed: bytes) -> None:
        """Raise ContractBroken where the service cannot hold such a key or row."""

    def look(self, keys: Sequence[Key]) -> Seen:
        """Read what lies under keys."""

    def change(self, changes: Sequence[Change]) -> list[Outcome]:
        """Make changes, each on its condition."""


def writing(rows: Mapping[Key, OnlineRow], keep: Keep | None) -> list[Replacement]:
    """Say a write as what it replaces: every row up to its own event; rows that are too old are left out."""
    oldest_us = None if keep is None else keep.oldest_us
    return [
        (key, row, row.event_time_us)
        for key, row in rows.items()
        if oldest_us is None or row.event_time_us >= oldest_us
    ]


def settle(rows: Rows, wishes: Iterable[Replacement], keep: Keep | None, pace: Pace, patience_seconds: float) -> int:
    """Carry out replacements of different keys; returns how many keys changed.

    Raises:
        Transient: nothing could be done for so long; some may be done.
    """
    batch = _Batch(rows, {key: (row, until) for key, row, until in wishes}, keep)
    patience = Patience(patience_seconds)
    while batch.left:
        before = len(batch.left)
        try:
            why = batch.round(pace)
        except Transient as error:
            why = error
        if len(batch.left) < before:
            patience.progressed()
        if isinstance(why, Throttled):
            pace.slow_down()
        if why is not None:
            patience.wait(why)
    return batch.changed


class _Batch:
    """What is left to do, and how many keys changed."""

    def __init__(self, rows: Rows, wishes: dict[Key, tuple[OnlineRow | None, int]], keep: Keep | None) -> None:
        self.left, self.changed = wishes, 0
        self._rows, self._oldest_us = rows, None if keep is None else keep.oldest_us
        self._unsure: dict[Key, Any] = {}

    def round(self, pace: Pace) -> Transient | None:
        """Look, decide and change once; says why something is left."""
        seen = self._rows.look(list(self.left))
        changes = [change for key in list(self.left) if (change := self._decided(key, seen))]
        if not changes:
            return None
        pace.take(len(changes))
        # until it is known better: an answer may be lost after the change was made
        self._unsure |= {change.key: change.seal for change in changes}
        why: Transient | None = None
        for change, outcome in zip(changes, self._rows.change(changes), strict=True):
            if outcome is True:
                self._done(change.key, changed=True)
            elif outcome is False:
                del self._unsure[change.key]
                why = why or CommitConflict("another writer was faster", "nothing: it is tried again")
            else:
                why = outcome
        return why

    def _decided(self, key: Key, seen: Seen) -> Change | None:
        """Return the change that a key needs; one that needs none is done with."""
        (row, until), held = self.left[key], seen.rows.get(key)
        packed = None if row is None else pack(row)
        counts = held is not None and held.counts
        nothing_to_take = packed is None and not counts
        newer = held is not None and counts and unpack(held.packed).event_time_us > until
        if key in self._unsure and _is_ours(held, packed, self._unsure[key]):
            self._done(key, changed=True)
        elif nothing_to_take or newer:
            self._done(key, changed=False)
        else:
            life_us = None if row is None or self._oldest_us is None else row.event_time_us - self._oldest_us + 1
            end_us = None if life_us is None else seen.now_us + life_us
            return Change(key, packed, end_us, held.seal if held else None)
        return None

    def _done(self, key: Key, *, changed: bool) -> None:
        del self.left[key]
        self._unsure.pop(key, None)
        self.changed += changed


def _is_ours(held: Held | None, packed: bytes | None, seal: Any) -> bool:
    """Say whether a change without an answer was made: the key holds what it wanted, in another state than then."""
    if held is None:
        return packed is None and seal is not None
    return held.packed == packed and held.seal != seal
