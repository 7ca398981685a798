"""Incremental reader of a rollout step's prediction log: each row is read once.

A step is judged by all that was answered since it began, and looked at every few seconds: whoever stays reads each row
once. Of an object store each piece would be fetched again at each look, thousands in an hour.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.contracts.serving import Serving
    from loopline.platform_core.platform import Platform

MOST_BYTES = 256 * 2**20
"""Arrow bytes that a process keeps of all steps together; what is above is read whole at each look."""
MOST_CHUNKS = 64
"""From so many looks with new rows on, they are copied into one piece."""


@dataclass(frozen=True)
class _Read:
    serving: Serving
    since: str | None
    rows: pa.Table
    cursor: str


class StepLog:
    """What this process has read of each model's step."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, _Read] = OrderedDict()

    @classmethod
    def of(cls, platform: Platform, kind: str = "rollout") -> StepLog:
        """Return the one of a platform, of which a process has one, for a kind of steps."""
        with _MADE:
            return _OF.setdefault(platform, {}).setdefault(kind, cls())

    def read(self, serving: Serving, model: str, since: str | None) -> tuple[pa.Table, str]:
        """Return all rows since a cursor, and the cursor behind them, as ``Serving.predictions``."""
        with self._lock:
            known = self._kept.get(model)
            if known is None or known.serving is not serving or known.since != since:
                found = _Read(serving, since, *serving.predictions(model, since))
            else:
                found = _on(known, *serving.predictions(model, known.cursor))
            self._kept[model] = found
            self._kept.move_to_end(model)
            self._bound()
            return found.rows, found.cursor

    def keep(self, models: Collection[str]) -> None:
        """Let go of what is read of other models: their rollouts are over."""
        with self._lock:
            for model in self._kept.keys() - set(models):
                del self._kept[model]

    def _bound(self) -> None:
        """Let go of what was read longest ago, until the rest may stay."""
        while sum(each.rows.nbytes for each in self._kept.values()) > MOST_BYTES:
            self._kept.popitem(last=False)


_MADE = threading.Lock()
_OF: WeakKeyDictionary[Platform, dict[str, StepLog]] = WeakKeyDictionary()


def _on(known: _Read, newer: pa.Table, cursor: str) -> _Read:
    import pyarrow as pa

    if not newer.num_rows:
        return replace(known, cursor=cursor)
    rows = pa.concat_tables([known.rows, newer])
    if rows.column(0).num_chunks > MOST_CHUNKS:
        rows = rows.combine_chunks()
    return replace(known, rows=rows, cursor=cursor)
