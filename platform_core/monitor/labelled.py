"""Labels by the examples they belong to, whether they are known by now or later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

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

Places = NDArray[np.int64]
PATIENT = 0.99
"""Share of the labels of each kind that must have come before the rest of an age is looked at."""


class Examples(NamedTuple):
    """The examples of answered rows: equal numbers are one example; and each one's row among the labels, -1 for none.

    Numbers of two calls have nothing to do with each other.
    """

    numbers: Places
    places: Places


@dataclass(frozen=True, eq=False)
class LabelBook:
    """What the raw rows say of a model's examples, one row of ``table`` each; keys of persons are pseudonyms.

    An example's key is its entities as text, and its event time too where they do not tell examples apart (``timed``).
    """

    table: pa.Table
    entities: tuple[str, ...]
    persons: Sequence[str]

    def examples(self, answered: pa.Table) -> Examples:
        """Find the examples of answered rows, from their columns ``keys`` (JSON) and event time.

        Keys are text and come again and again: each distinct one is parsed once, and no row becomes an object.
        """
        told = len(self.table)
        columns = list(map(_both, self._entities, self._given(answered)))
        numbers = numbered(columns, told + len(answered))
        if told and np.bincount(numbers[:told]).max() > 1:  # entities come more than once
            numbers = numbered([pa.array(numbers), _both(_instants(self.table), _instants(answered))], len(numbers))
        row_of = np.full(numbers.max(initial=-1) + 1, -1)
        row_of[numbers[:told]] = np.arange(told)  # of rows that say something of the same example the last counts
        return Examples(numbers[told:], row_of[numbers[told:]])

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
    def _entities(self) -> list[pa.Array]:
        return [self.table.column(entity).cast(pa.string()).combine_chunks() for entity in self.entities]

    def _given(self, answered: pa.Table) -> list[pa.Array]:
        """Return the entities of answered rows as text."""
        encoded = answered.column("keys").combine_chunks().dictionary_encode(null_encoding="encode")
        keys = personal.hidden_in(objects(encoded.dictionary), self.persons)
        texts = (pa.array([str(key.get(entity)) for key in keys], pa.string()) for entity in self.entities)
        return [text.take(encoded.indices) for text in texts]


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


def numbered(columns: Sequence[pa.Array], size: int) -> Places:
    """Number rows from 0 on without a gap, by their values in some columns; null is a value like others."""
    numbers = np.zeros(size, np.int64)
    for place, column in enumerate(columns):
        codes, distinct = _codes(column)
        numbers = _codes(pa.array(numbers * distinct + codes))[0] if place else codes
    return numbers


def _codes(column: pa.Array) -> tuple[Places, int]:
    encoded = column.dictionary_encode(null_encoding="encode")
    return encoded.indices.to_numpy().astype(np.int64), len(encoded.dictionary)


def _both(one: pa.Array, other: pa.Array) -> pa.Array:
    return pa.concat_arrays([one, other])


def _instants(rows: pa.Table) -> pa.Array:
    """Return event times in µs since 1970."""
    return rows.column(EVENT_TIME).cast(pa.timestamp("us", "UTC")).cast(pa.int64()).combine_chunks()
