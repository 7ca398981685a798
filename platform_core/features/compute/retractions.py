"""Retractions in the point-in-time join: unfolds rows that are no more into which row was newest when.

An engine looks for the newest event that is known. Where a row ended, that is an older one again; so of entities with
such a row an engine is given what was the answer from when to when, a row each, in the place of their own rows.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from loopline.platform_core.contracts.engine import ViewRows
from loopline.platform_core.foundation.names import CREATED_AT, EVENT_TIME, GONE

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

PLACE = "_place"
NOTHING = -1
"""In place of a row: from here on there is none."""


class Version(NamedTuple):
    """A row of an entity as it came to be known (µs since 1970); the order is that in which it is told."""

    known_us: int
    event_us: int
    created_us: int
    place: int
    gone: bool


class Answer(NamedTuple):
    """From when on (µs) which row is the newest of an entity."""

    since_us: int
    place: int


@dataclass(frozen=True)
class Unfolded:
    """Rows for an engine, and for each of them the place of the view's row for which it stands, or ``NOTHING``."""

    rows: ViewRows
    stands_for: NDArray[np.int64]

    def places(self, matches: tuple[NDArray[Any], NDArray[Any]]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Turn an engine's matches into matches of the view's rows."""
        asking, found = matches
        places = self.stands_for[found]
        there = places != NOTHING
        return asking[there], places[there]


def unfolded(each: ViewRows) -> Unfolded | None:
    """Unfold a view's rows; None where each of them is still one."""
    import numpy as np
    import pyarrow as pa
    from pyarrow import compute

    rows, entity = each.rows, each.view.entity
    if GONE not in rows.column_names or not compute.any(rows[GONE]).as_py():
        return None
    numbered = rows.select([entity, EVENT_TIME, CREATED_AT, GONE]).append_column(PLACE, pa.array(np.arange(len(rows))))
    ended = rows.filter(compute.fill_null(rows[GONE], fill_value=False))[entity].unique().drop_null()
    turns = compute.fill_null(compute.is_in(numbered[entity], value_set=ended), fill_value=False)
    plain, told = (
        numbered.filter(compute.invert(turns)).drop_columns([GONE]),
        _answer_rows(numbered.filter(turns), entity),
    )
    both = pa.concat_tables([plain, told])
    return Unfolded(ViewRows(each.view, both.drop_columns([PLACE])), both[PLACE].to_numpy())


def _answer_rows(rows: pa.Table, entity: str) -> pa.Table:
    """Give, of each entity, its answers as rows that happen and are known when the answer begins."""
    import pyarrow as pa

    told = [(key, *answer) for key, versions in _versions(rows, entity) for answer in answers(versions)]
    keys, begins, places = zip(*told, strict=True) if told else ((), (), ())
    since = pa.array(begins, pa.int64()).cast(rows[EVENT_TIME].type)
    columns = {entity: pa.array(keys, rows[entity].type), EVENT_TIME: since, CREATED_AT: since}
    return pa.table({**columns, PLACE: pa.array(places, pa.int64())})


def _versions(rows: pa.Table, entity: str) -> Iterator[tuple[Any, list[Version]]]:
    import pyarrow as pa

    found: dict[Any, list[Version]] = {}
    times = (rows[name].cast(pa.int64()).to_pylist() for name in (EVENT_TIME, CREATED_AT))
    columns = zip(rows[entity].to_pylist(), *times, rows[PLACE].to_pylist(), rows[GONE].to_pylist(), strict=True)
    for key, event, created, place, gone in columns:
        if event is not None and created is not None:
            found.setdefault(key, []).append(Version(max(event, created), event, created, place, bool(gone)))
    for key, versions in found.items():
        yield key, sorted(versions)


def answers(versions: Sequence[Version]) -> Iterator[Answer]:
    """Walk an entity's versions in order, and yield each moment from which another row, or none, is the newest."""
    there: dict[int, Version] = {}
    events: list[int] = []
    last = NOTHING
    for number, version in enumerate(versions):
        if version.event_us not in there:
            insort(events, version.event_us)
        there[version.event_us] = version
        while events and there[events[-1]].gone:
            del there[events.pop()]
        if number + 1 < len(versions) and versions[number + 1].known_us == version.known_us:
            continue  # what becomes known at one moment is answered at once
        place = there[events[-1]].place if events else NOTHING
        if place != last:
            yield Answer(version.known_us, place)
            last = place
