"""Labels by the examples they belong to, whether they are known by now or later."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from loopline.platform_core.features.reach import held_only
from loopline.platform_core.foundation.names import EVENT_TIME, KNOWN_AT, LABEL, raw_table
from loopline.platform_core.ingestion.held_rows import key_of
from loopline.platform_core.ingestion.holding import holding
from loopline.platform_core.monitor.values import objects
from loopline.platform_core.specs import personal

if TYPE_CHECKING:
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Model, Team

Key = tuple[str | int, ...]
Places = NDArray[np.int64]
PATIENT = 0.99
"""Share of the labels of each kind that must have come before the rest of an age is looked at."""


@dataclass(frozen=True, eq=False)
class LabelBook:
    """What the raw rows say of a model's examples, one row of ``table`` each; keys of persons are pseudonyms.

    An example's key is its entities as text, and its event time too where they do not tell examples apart (``timed``).
    """

    table: pa.Table
    entities: tuple[str, ...]
    persons: Sequence[str]

    @cached_property
    def timed(self) -> bool:
        """Say whether entities come more than once."""
        distinct = set(zip(*self._entities, strict=True))
        return bool(len(distinct) < self.table.num_rows)

    @cached_property
    def row_of(self) -> Mapping[Key, int]:
        """Return the row of each example."""
        columns = [*self._entities, *([_instants(self.table)] if self.timed else [])]
        return {key: row for row, key in enumerate(zip(*columns, strict=True))}

    def keys(self, answered: pa.Table) -> list[Key]:
        """Return the keys of answered rows, from their columns ``keys`` (JSON) and event time."""
        given = personal.hidden_in(objects(answered.column("keys")), self.persons)
        times = _instants(answered) if self.timed else [None] * answered.num_rows
        entities = (tuple(str(keys.get(entity)) for entity in self.entities) for keys in given)
        return [key if at is None else (*key, at) for key, at in zip(entities, times, strict=True)]

    def places(self, keys: Iterable[Key]) -> Places:
        """Return each example's row in the table, -1 for one of which nothing is known."""
        found = self.row_of
        return np.fromiter((found.get(key, -1) for key in keys), np.int64)

    def known(self, places: Places, now_us: int) -> NDArray[np.float64]:
        """Return the label of each example, NaN unless it is known by now and finite."""
        come = (self.known_us <= now_us) & np.isfinite(self.labels)
        told = np.append(np.where(come, self.labels, np.nan), np.nan)  # the last one is that of place -1
        return np.asarray(told[places])

    def wait_us(self) -> int | None:
        """Return the age (µs) at which the labels of both kinds have come, but for one in a hundred.

        Labels that come early are often all of one kind: whoever counts them before that age counts too many of it.
        None while the raw rows give labels of one kind only.
        """
        labels = self.labels
        delays = self.known_us - self.table[EVENT_TIME].cast(pa.int64()).to_numpy()
        kinds = [delays[np.flatnonzero(kind)] for kind in (labels > 0, labels <= 0)]
        if not all(len(kind) for kind in kinds):
            return None
        return max(0, *(int(np.quantile(kind, PATIENT, method="higher")) for kind in kinds))

    @cached_property
    def labels(self) -> NDArray[np.float64]:
        """Return the labels, NaN where there is none."""
        return np.asarray(self.table[LABEL].cast(pa.float64()).to_numpy(), dtype=np.float64)

    @cached_property
    def known_us(self) -> NDArray[np.int64]:
        """Return when each label becomes known (µs since 1970)."""
        return np.asarray(self.table[KNOWN_AT].cast(pa.int64()).to_numpy(), dtype=np.int64)

    @cached_property
    def _entities(self) -> list[list[Any]]:
        return [self.table.column(entity).cast(pa.string()).to_pylist() for entity in self.entities]


def book(platform: Platform, team: Team, model: Model) -> LabelBook:
    """Compute the labels of all raw rows that hold.

    Raises:
        NotFound: none has.
    """
    raw = platform.lake.read(raw_table(team.name, model.labels.source.name))
    raw = holding(raw, key_of(team, model.labels.source))
    computed = held_only(platform.engine.compute_labels(model.labels, raw), EVENT_TIME)
    told = computed.filter(pc.and_(pc.is_valid(computed[KNOWN_AT]), pc.is_valid(computed[EVENT_TIME])))
    persons = personal.entities(team, model)
    return LabelBook(personal.hidden(told, persons).combine_chunks(), tuple(model.labels.entities), persons)


def _instants(rows: pa.Table) -> list[int]:
    """Return event times in µs since 1970: to make a datetime of each was half of what quality costs."""
    instants: list[int] = rows.column(EVENT_TIME).cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_pylist()
    return instants
