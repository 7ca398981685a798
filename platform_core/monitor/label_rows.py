"""The labels that raw rows give: of all of them, or of those entities alone about which something is new.

Labels may look anywhere. Whether each entity's labels come out the same without the others' raw rows is tried on the
rows that are there; where they do not, all labels are computed each time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from loopline.platform_core.errors import LooplineError, NotFound
from loopline.platform_core.features.reach import held_only
from loopline.platform_core.foundation.names import EVENT_TIME, KNOWN_AT, LABEL, raw_table
from loopline.platform_core.ingestion.held_rows import changed_rows, held_rows, key_of, standing_rows
from loopline.platform_core.ingestion.holding import holding
from loopline.platform_core.specs import personal

if TYPE_CHECKING:
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Model, Team


class NewLabels(NamedTuple):
    """All labels of some entities as they are now; ``entities`` names these by their first column, as text."""

    entities: pa.Array
    rows: pa.Table


@dataclass(frozen=True)
class LabelRows:
    """Computes a model's labels, with pseudonyms for keys of persons, of one version of its raw table."""

    platform: Platform
    team: Team
    model: Model
    version: int

    def every(self) -> tuple[pa.Table, bool]:
        """Compute the labels of all raw rows that hold, and try whether each entity's rest on its own rows.

        Raises:
            NotFound: no raw row has landed.
        """
        raw = holding(self.platform.lake.read(self._table, version=self.version), self._key)
        rows = self._computed(raw)
        return self._hidden(rows), self._rests_on_its_entity(raw, rows)

    def newer(self, than: int) -> NewLabels:
        """Compute those of the entities of which raw rows came to hold, or ceased to, since another version.

        Raises:
            NotFound: which these are is not known any more.
        """
        lake, key, entity = self.platform.lake, self._key, self._entity
        changed = changed_rows(lake, self._table, self.version, than, key)
        if entity not in changed.column_names or changed[entity].null_count:
            raise NotFound(f"new rows of {self._table} have no {entity!r}", "compute all labels")
        among = {entity: changed[entity].unique()}
        if key:
            raw = held_rows(lake, self._table, self.version, key, among)
        else:
            found = lake.read(self._table, version=self.version, among=among)
            raw = standing_rows(lake, self._table, self.version, found)
        names = personal.hidden(pa.table(among), [name for name in self._persons if name == entity])
        return NewLabels(names[entity].cast(pa.string()).combine_chunks(), self._hidden(self._computed(raw)))

    @property
    def _table(self) -> str:
        return raw_table(self.team.name, self.model.labels.source.name)

    @property
    def _key(self) -> tuple[str, ...]:
        return key_of(self.team, self.model.labels.source)

    @property
    def _entity(self) -> str:
        return self.model.labels.entities[0]

    @property
    def _persons(self) -> list[str]:
        return personal.entities(self.team, self.model)

    def _computed(self, raw: pa.Table) -> pa.Table:
        rows = held_only(self.platform.engine.compute_labels(self.model.labels, raw), EVENT_TIME)
        return rows.filter(pc.and_(pc.is_valid(rows[KNOWN_AT]), pc.is_valid(rows[EVENT_TIME])))

    def _hidden(self, rows: pa.Table) -> pa.Table:
        return personal.hidden(rows, self._persons).combine_chunks()

    def _rests_on_its_entity(self, raw: pa.Table, rows: pa.Table) -> bool:
        """Compute the labels of each half of the entities alone; of fewer than two nothing is known."""
        if self._entity not in raw.column_names or raw[self._entity].null_count:
            return False
        entities = raw[self._entity].unique()
        entities = entities.take(pc.sort_indices(entities))
        halves = [entities.take(pa.array(range(first, len(entities), 2), pa.int64())) for first in (0, 1)]
        own = [rows.filter(_among(rows[self._entity], half)) for half in halves]
        if len(entities) < len(halves) or sum(map(len, own)) != len(rows):
            return False
        try:
            alone = [self._computed(raw.filter(_among(raw[self._entity], half))) for half in halves]
        except LooplineError:
            return False
        return all(_sorted(one).equals(_sorted(other)) for one, other in zip(own, alone, strict=True))


def _among(column: pa.ChunkedArray, values: pa.Array) -> pa.Array:
    """Mark the rows of some entities, compared as text: a function may give an entity another type."""
    return pc.is_in(column.cast(pa.string()), value_set=values.cast(pa.string()))


def _sorted(rows: pa.Table) -> pa.Table:
    """Sort rows by all that they say, so that they can be compared; no number is as unequal to itself as NaN is."""
    label = rows[LABEL]
    plain = rows.set_column(
        rows.column_names.index(LABEL), LABEL, pc.if_else(pc.is_nan(label), pa.scalar(None, label.type), label)
    )
    return plain.sort_by([(name, "ascending") for name in plain.column_names]).combine_chunks()
