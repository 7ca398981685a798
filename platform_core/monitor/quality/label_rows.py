"""Labels computed from raw rows: all of them, or only those of entities with new data.

Labels may look anywhere. Whether each entity's labels come out the same without the others' raw rows is tried on the
rows that are there; where they do not, all labels are computed each time. Where they declare a reach, and come out the
same without raw rows beyond it, raw rows are read and labels computed as far away from new rows as that alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loopline.platform_core.errors import LooplineError, NotFound
from loopline.platform_core.features.compute.entity_locality import same_labels, short_reach
from loopline.platform_core.features.compute.label_check import labels_of
from loopline.platform_core.features.compute.row_scope import RawRows, Reach, held_only
from loopline.platform_core.foundation.names import EVENT_TIME, KNOWN_AT, LABEL
from loopline.platform_core.foundation.number_lists import to_column
from loopline.platform_core.specs.contracts import personal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Model, Team


class EveryLabel(NamedTuple):
    """All labels; and how they were found to rest on raw rows: of their own entity alone, within their reach alone."""

    rows: pa.Table
    by_entity: bool
    within_reach: bool


class NewLabels(NamedTuple):
    """All labels within a reach as they are now; ``entities`` names those of it by their first column, as text."""

    entities: pa.Array
    rows: pa.Table
    reach: Reach = Reach()

    def stand_for(self, entities: pa.Array, rows: pa.Table) -> NDArray[np.bool_]:
        """Mark the labels in whose place these stand; ``entities`` is their first column."""
        own = np.asarray(pc.is_in(entities, value_set=self.entities), dtype=np.bool_)
        times = rows[EVENT_TIME]
        for bound, is_within in ((self.reach.since, pc.greater_equal), (self.reach.until, pc.less)):
            if bound is not None:
                own &= np.asarray(is_within(times, pa.scalar(bound, pa.timestamp("us", "UTC"))), dtype=np.bool_)
        return own


@dataclass(frozen=True)
class LabelRows:
    """Computes a model's labels, with pseudonyms for keys of persons, of one version of its raw table."""

    platform: Platform
    team: Team
    model: Model
    version: int

    def every(self) -> EveryLabel:
        """Compute the labels of all raw rows that hold, and try on what each rests.

        Raises:
            NotFound: no raw row has landed.
        """
        raw = self._tables.raw(self.version, Reach())
        rows = self._computed(raw)
        return EveryLabel(self._hidden(rows), *self._tried(raw, rows))

    def newer(self, than: int, *, within_reach: bool) -> NewLabels:
        """Compute those of the entities of which raw rows came to hold, or ceased to, since another version.

        Where they are known to rest on raw rows ``within_reach``, these are the labels as far away from such rows.

        Raises:
            NotFound: which these are is not known any more.
        """
        entity, changed = self._entity, self._tables.turned(self.version, than).rows
        if entity not in changed.column_names or changed[entity].null_count:
            raise NotFound(f"new rows of {self.model.labels.source.name!r} have no {entity!r}", "compute all labels")
        days = (self.model.labels.reach_days if within_reach else None) or 0.0
        reach = replace(self._around(changed) if within_reach else Reach(), entities=changed[entity].unique()).widened(
            days
        )
        raw = self._tables.raw(self.version, reach.widened(days))
        names = personal.hidden(pa.table({entity: reach.entities}), [name for name in self._persons if name == entity])
        rows = reach.of(self._computed(raw), EVENT_TIME)
        return NewLabels(names[entity].cast(pa.string()).combine_chunks(), self._hidden(rows), reach)

    def _around(self, changed: pa.Table) -> Reach:
        """Return the times of rows, from the earliest to the latest; rows without a time are within no reach."""
        ends = pc.min_max(changed[self.model.labels.time]).as_py()
        if ends["min"] is None:
            return Reach()
        return Reach(None, ends["min"], ends["max"] + timedelta(microseconds=1))

    @property
    def _tables(self) -> RawRows:
        return RawRows(self.platform, self.team, self.model.labels)

    @property
    def _entity(self) -> str:
        return self.model.labels.entity

    @property
    def _persons(self) -> list[str]:
        return personal.entities(self.team, self.model)

    def _computed(self, raw: pa.Table) -> pa.Table:
        rows = held_only(labels_of(self.platform.engine, self.model, raw), EVENT_TIME)
        encoded = to_column(self.model.target.encoded(rows[LABEL]))
        rows = rows.set_column(rows.column_names.index(LABEL), LABEL, encoded)
        return rows.filter(pc.and_(pc.is_valid(rows[KNOWN_AT]), pc.is_valid(rows[EVENT_TIME])))

    def _hidden(self, rows: pa.Table) -> pa.Table:
        return personal.hidden(rows, self._persons).combine_chunks()

    def _tried(self, raw: pa.Table, rows: pa.Table) -> tuple[bool, bool]:
        """Say whether the labels of each half of the entities come out the same alone; and so within their reach."""
        if self._entity not in raw.column_names or raw[self._entity].null_count:
            return False, False
        entities = raw[self._entity].unique()
        entities = entities.take(pc.sort_indices(entities))
        halves = [entities.take(pa.array(range(first, len(entities), 2), pa.int64())) for first in (0, 1)]
        own = [rows.filter(_among(rows[self._entity], half)) for half in halves]
        if len(entities) < len(halves) or sum(map(len, own)) != len(rows):  # of fewer than two nothing is known
            return False, False
        parts = [raw.filter(_among(raw[self._entity], half)) for half in halves]
        try:
            alone = [self._computed(part) for part in parts]
        except LooplineError:
            return False, False
        if not all(same_labels(one, other) for one, other in zip(own, alone, strict=True)):
            return False, False
        return True, self._within_reach(parts, alone)

    def _within_reach(self, parts: Sequence[pa.Table], alone: Sequence[pa.Table]) -> bool:
        labels, engine = self.model.labels, self.platform.engine
        if labels.reach_days is None:
            return False
        return not any(short_reach(engine, labels, part, rows) for part, rows in zip(parts, alone, strict=True))


def _among(column: pa.ChunkedArray, values: pa.Array) -> pa.Array:
    """Mark the rows of some entities, compared as text: a function may give an entity another type."""
    return pc.is_in(column.cast(pa.string()), value_set=values.cast(pa.string()))
