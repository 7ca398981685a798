"""Generated histories of a feature view, as hard as real ones, and labels that ask at the worst moments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from loopline.platform_core.foundation.names import CREATED_AT, EVENT_TIME

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from loopline.platform_core.specs import FeatureView

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR, MICROSECOND = timedelta(hours=1), timedelta(microseconds=1)
HOURS = 24 * 12
ENTITIES, ROWS, LABELS = 25, 600, 500
ROW = "row"


@dataclass(frozen=True)
class History:
    """A view, the rows of its offline table, and labels (``row``, ``key``, ``event_time``)."""

    name: str
    view: FeatureView
    rows: pa.Table
    labels: pa.Table

    @property
    def features(self) -> list[str]:
        """Name the features."""
        return [name for name in self.rows.column_names if name not in ("key", EVENT_TIME, CREATED_AT)]

    @cached_property
    def of_key(self) -> dict[Any, list[dict[str, Any]]]:
        """Return the rows of each key."""
        found: dict[Any, list[dict[str, Any]]] = {}
        for row in self.rows.to_pylist():
            found.setdefault(row["key"], []).append(row)
        return found


def history(seed: int, ttl_days: float | None, *, text_keys: bool, late_share: float) -> History:
    """Generate one.

    Events lie on whole hours, so that many tie with one another and with labels. Of each (key, event time) there may
    be corrections, each created later. A part of the rows is late by up to four days. Values, keys and times may be
    null; rows come in no order.
    """
    import numpy as np

    random = np.random.default_rng(seed)
    rows = _rows(random, late_share)
    keys = [None if random.random() < 0.02 else int(random.integers(ENTITIES + 2)) for _ in range(LABELS)]
    times = [_moment(random, rows, ttl_days) for _ in range(LABELS)]
    name = f"history_{seed}"
    return History(
        name,
        view(name, ttl_days),
        _offline(random, rows, text_keys=text_keys),
        _labels(keys, times, text_keys=text_keys),
    )


def small(name: str, rows: Sequence[tuple[int, float, float, float]], *asked: float) -> History:
    """Make a history by hand, TTL 2 days: rows are (key, event, created, number), in hours; labels ask for key 1."""
    import pyarrow as pa

    instant = pa.timestamp("us", "UTC")
    keys, events, created, values = zip(*rows, strict=True)
    table = {
        "key": pa.array(keys, pa.int64()),
        EVENT_TIME: pa.array([at(hour) for hour in events], instant),
        CREATED_AT: pa.array([at(hour) for hour in created], instant),
        "number": pa.array(values, pa.float64()),
    }
    labels = _labels([1] * len(asked), [at(hour) for hour in asked], text_keys=False)
    return History(name, view(name, 2.0), pa.table(table), labels)


def in_reach(one: History, label: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of the label's key that happened by its time and are not too old for it, whenever created."""
    time: datetime | None = label[EVENT_TIME]
    if time is None or label["key"] is None:
        return []
    oldest = time - timedelta(days=one.view.ttl_days or 10_000)
    return [r for r in one.of_key.get(label["key"], []) if r[EVENT_TIME] and oldest <= r[EVENT_TIME] <= time]


def view(name: str, ttl_days: float | None) -> FeatureView:
    """Declare a view over ``key``; its function is never run."""
    from loopline.platform_core.specs import FeatureView, Source  # not needed where Feast reads this module

    return FeatureView(name, Source(name, ""), "key", EVENT_TIME, lambda rows: rows, ttl_days)


def at(hours: float) -> datetime:
    """Count hours from the start."""
    return START + hours * HOUR


def _rows(random: np.random.Generator, late_share: float) -> list[tuple[int | None, datetime | None, datetime]]:
    """Return (key, event, created); created is never the same for two rows of a key and event."""
    found: dict[tuple[int | None, datetime | None, datetime], None] = {}
    while len(found) < ROWS:
        key = None if random.random() < 0.01 else int(random.integers(ENTITIES))
        event = at(int(random.integers(HOURS)))
        late = random.random() < late_share
        created = event + (HOUR * int(random.integers(1, 96)) if late else timedelta(0))
        found[key, None if random.random() < 0.01 else event, created] = None
    return list(found)


def _moment(random: np.random.Generator, rows: list[Any], ttl_days: float | None) -> datetime | None:
    """Pick a time: any, a row's own, when one became known, or when one becomes too old; each also by 1 µs off."""
    if random.random() < 0.02:
        return None
    if random.random() < 0.3:
        return at(float(random.uniform(0, HOURS + 48)))
    _, event, created = rows[int(random.integers(len(rows)))]
    old = (event or created) + timedelta(days=ttl_days if ttl_days is not None else 1)
    return (event or created, created, old)[int(random.integers(3))] + int(random.integers(-1, 2)) * MICROSECOND


def _offline(random: np.random.Generator, rows: list[Any], *, text_keys: bool) -> pa.Table:
    import pyarrow as pa

    instant = pa.timestamp("us", "UTC")
    keys, events, created = zip(*rows, strict=True)
    number = list(range(len(rows)))
    absent = random.random((4, len(rows))) < 0.1
    return pa.table(
        {
            "key": _keys(keys, text_keys=text_keys),
            EVENT_TIME: pa.array(events, instant),
            CREATED_AT: pa.array(created, instant),
            "number": pa.array(number, pa.float64(), mask=absent[0]),
            "whole": pa.array(number, pa.int64(), mask=absent[1]),
            "text": pa.array([f"v{n}" for n in number], pa.string(), mask=absent[2]),
            "truth": pa.array([n % 2 == 0 for n in number], pa.bool_(), mask=absent[3]),
        }
    )


def _labels(keys: list[int | None], times: list[datetime | None], *, text_keys: bool) -> pa.Table:
    import pyarrow as pa

    return pa.table(
        {
            ROW: list(range(len(keys))),
            "key": _keys(keys, text_keys=text_keys),
            EVENT_TIME: pa.array(times, pa.timestamp("us", "UTC")),
        }
    )


def _keys(keys: Any, *, text_keys: bool) -> pa.Array:
    import pyarrow as pa

    if text_keys:
        return pa.array([None if key is None else f"k{key}" for key in keys], pa.string())
    return pa.array(keys, pa.int64())
