"""What versions answered, each example once, beside what became of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from loopline.platform_core.contracts.serving import SHADOW_ROLE
from loopline.platform_core.foundation.distance import Floats
from loopline.platform_core.foundation.names import EVENT_TIME, ModelRef, prediction_table, scores_table
from loopline.platform_core.monitor import groups
from loopline.platform_core.monitor.groups import Texts
from loopline.platform_core.monitor.values import objects

if TYPE_CHECKING:
    from datetime import date

    from loopline.platform_core.contracts.lake import Lake
    from loopline.platform_core.monitor.labelled import LabelBook

DAY_US = 86_400_000_000
READ = ("request_id", "row", "role", "version", EVENT_TIME, "logged_at", "score", "keys")
ORDER = ("logged_at", "request_id", "row")
Instants = NDArray[np.int64]


class Age(NamedTuple):
    """Now (µs since 1970), and how old an example must be for its label to count (µs; None: not known yet)."""

    now_us: int
    wait_us: int | None


@dataclass(frozen=True, eq=False)
class Outcomes:
    """Distinct examples that a version answered: arrays of one length.

    ``labels`` are NaN where none is known; ``groups`` holds each row's value by column, "" for none.
    """

    event_us: Instants
    scores: Floats
    labels: Floats
    groups: Mapping[str, Texts]

    def __len__(self) -> int:
        """Count the examples."""
        return len(self.scores)

    def where(self, chosen: NDArray[np.bool_]) -> Outcomes:
        """Return some of the rows."""
        columns = {name: values[chosen] for name, values in self.groups.items()}
        return Outcomes(self.event_us[chosen], self.scores[chosen], self.labels[chosen], columns)


def outcomes(  # noqa: PLR0913, PLR0917 - answers of a model since a day meet labels of an age, split by columns
    lake: Lake, ref: ModelRef, labels: LabelBook, columns: Sequence[str], age: Age, since: date | None
) -> Iterator[tuple[str, Outcomes]]:
    """Yield each version's answers of events since a day, live and in batches; what a shadow said is left out.

    Of answers to one example the newest counts, and of labels those of examples that are old enough.

    Raises:
        InvalidSpec: a column is neither a segment of the labels nor a feature that was served.
    """
    rows = _answered(lake, ref, since, with_features=bool(set(columns) - set(labels.table.column_names)))
    names = zip(rows["version"].to_pylist(), labels.keys(rows), strict=True)
    newest = {name: row for row, name in enumerate(names)}
    chosen = np.fromiter(newest.values(), np.int64, len(newest))
    places = labels.places(key for _, key in newest)
    rows = rows.take(pa.array(chosen))
    versions = np.array(rows["version"].to_pylist(), dtype=object)
    every = Outcomes(
        event_us=_us(rows, EVENT_TIME),
        scores=np.asarray(rows["score"].to_numpy(), dtype=np.float64),
        labels=_ripe(labels, places, _us(rows, EVENT_TIME), age),
        groups={column: _values(rows, labels, places, column) for column in columns},
    )
    for version in dict.fromkeys(versions.tolist()):
        yield version, every.where(versions == version)


def _answered(lake: Lake, ref: ModelRef, since: date | None, *, with_features: bool) -> pa.Table:
    wanted = [*READ, *(["features"] if with_features else [])]
    tables = [table for table in (prediction_table(*ref), scores_table(*ref)) if lake.version(table) is not None]
    rows = pa.concat_tables([lake.read(table, columns=wanted, since=since) for table in tables])
    rows = rows.filter(pc.and_(pc.is_valid(rows["score"]), pc.not_equal(rows["role"], SHADOW_ROLE)))
    return rows.sort_by([(name, "ascending") for name in ORDER]).combine_chunks()


def _ripe(labels: LabelBook, places: Instants, event_us: Instants, age: Age) -> Floats:
    """Return the label of each row, NaN unless it has come and its example is old enough."""
    if age.wait_us is None:
        return np.full(len(places), np.nan)
    return np.where(event_us + age.wait_us <= age.now_us, labels.known(places, age.now_us), np.nan)


def _values(rows: pa.Table, labels: LabelBook, places: Instants, column: str) -> Texts:
    """Return a column's values: as the labels' rows give it, else as it was served."""
    if column not in labels.table.column_names:
        return groups.served(objects(rows["features"]), column)
    told = labels.table[column].cast(pa.string()).to_pylist()
    return np.array(["" if place < 0 else told[place] or "" for place in places.tolist()], dtype=object)


def _us(rows: pa.Table, column: str) -> Instants:
    return np.asarray(rows[column].cast(pa.int64()).to_numpy(), dtype=np.int64)
