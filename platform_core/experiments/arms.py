"""Arms of an experiment: which version each entity met, by its first answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loopline.platform_core.contracts.serving import BATCH_ROLE, SHADOW_ROLE
from loopline.platform_core.foundation.names import EVENT_TIME, ModelRef, prediction_table
from loopline.platform_core.loop.rollouts import traffic
from loopline.platform_core.loop.rollouts.raw import RAW
from loopline.platform_core.monitor.quality.labelled import answered_keys
from loopline.platform_core.specs.contracts import personal

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Model, Team

    Floats = NDArray[np.float64]
    Places = NDArray[np.int64]
    Flags = NDArray[np.bool_]

COLUMNS = ("keys", "version", "role", "status", "latency_ms", "logged_at", EVENT_TIME, "score")


@dataclass(frozen=True, eq=False)
class Arms:
    """Distinct entities, and the answers they had.

    Of each entity: its name (text), whether the candidate answered it first, and since when (µs since 1970) what
    becomes of it counts. Of each answer: its place among the entities, whether the candidate gave it, and when.
    ``moved`` entities met both versions; they stay where they were first.
    """

    entities: pa.Array
    is_candidate: Flags
    start_us: Places
    moved: int
    rows: pa.Table
    places: Places
    by_candidate: Flags
    at_us: Places

    def __len__(self) -> int:
        """Count the entities."""
        return len(self.start_us)

    @property
    def met(self) -> tuple[int, int]:
        """Count the entities of each side: the candidate's, the stable version's."""
        mine = int(self.is_candidate.sum())
        return mine, len(self) - mine


def met(platform: Platform, team: Team, model: Model, since: datetime, versions: tuple[str, str] | None) -> Arms:
    """Read what callers were answered since an instant: of two versions (candidate, stable), or of all as one side.

    What callers do wrong is no answer, as for a rollout's judges.
    """
    ref, lake, entity = ModelRef(team.name, model.name), platform.lake, model.labels.entity
    table = prediction_table(*ref)
    there = lake.version(table) is not None
    wanted = [*COLUMNS, *([RAW] if model.target.width > 1 else [])]
    rows = lake.read(table, columns=wanted, since=since.date() - timedelta(days=1)) if there else None
    rows = _callers(rows if rows is not None else _nothing(wanted), since, versions)
    persons = [name for name in personal.entities(team, model) if name == entity] if len(rows) else []
    names = answered_keys(rows, [entity], persons)[0]
    return _arms(rows, names, since, versions[0] if versions else None)


def _callers(rows: pa.Table, since: datetime, versions: Collection[str] | None) -> pa.Table:
    wanted = pc.and_(
        pc.invert(pc.is_in(rows["role"], pa.array([SHADOW_ROLE, BATCH_ROLE]))),
        pc.greater_equal(rows["logged_at"], pa.scalar(since, rows["logged_at"].type)),
    )
    if versions is not None:
        wanted = pc.and_(wanted, pc.is_in(rows["version"], pa.array(versions)))
    return traffic.without_client_errors(rows.filter(wanted)).sort_by("logged_at").combine_chunks()


def _arms(rows: pa.Table, names: pa.Array, since: datetime, candidate: str | None) -> Arms:
    coded = names.dictionary_encode()
    places = np.asarray(coded.indices.to_numpy(zero_copy_only=False), dtype=np.int64)
    count = len(coded.dictionary)
    at_us, event_us = (_us(rows[name]) for name in ("logged_at", EVENT_TIME))
    mine = np.asarray(pc.equal(rows["version"], candidate or ""), dtype=bool)
    first = np.full(count, len(rows))
    np.minimum.at(first, places, np.arange(len(rows)))  # rows are in the order of their answers
    answered = np.bincount(places, minlength=count)
    of_mine = np.bincount(places, mine, count)
    begun = int(since.timestamp() * 1e6)
    return Arms(
        entities=coded.dictionary,
        is_candidate=mine[first],
        start_us=np.maximum(np.minimum(at_us[first], event_us[first]), begun),
        moved=int(((of_mine > 0) & (of_mine < answered)).sum()),
        rows=rows,
        places=places,
        by_candidate=mine,
        at_us=at_us,
    )


def _us(column: pa.ChunkedArray) -> Places:
    return np.asarray(column.cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy(), dtype=np.int64)


def _nothing(columns: Collection[str]) -> pa.Table:
    """Return no answers."""
    from loopline.platform_core.runtime.prediction_log.log_table import schema

    return schema().empty_table().select(list(columns))
