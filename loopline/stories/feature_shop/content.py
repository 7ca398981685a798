"""Test data of the feature shop: extreme values, and stale, late or corrected rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from loopline.platform_core.foundation.clock import ReplayClock
from loopline.platform_core.foundation.names import (
    ARRIVED_AT,
    CREATED_AT,
    DATE,
    EVENT_TIME,
    online_view,
    raw_table,
    view_table,
)
from loopline.stories.feature_shop.team import (
    NOW,
    WEEK_DAYS,
    history,
    history_2,
    likeness,
    parcel,
    popularity,
    team,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.platform import Platform

Row = tuple[Any, ...]
DAY = timedelta(days=1)
_US = timedelta(microseconds=1)
HISTORY: Sequence[Row] = (
    (1, NOW - DAY, 12.5, 3, "rød vase", True),
    (2, NOW - WEEK_DAYS * DAY - _US, 99.99, 8, "clock", False),
    (3, NOW - WEEK_DAYS * DAY, None, None, None, None),
    (4, NOW - _US, float("nan"), -1, "", False),
    (9_007_199_254_740_993, NOW, 0.1 + 0.2, 9_007_199_254_740_993, 'a "quoted" \\ line\n\ttab', True),
    (-(2**63), NOW, -0.0, -(2**63), "\x01\x1f\x7f\u2028 😀", False),
    (2**63 - 1, NOW, 1.0, 2**63 - 1, "/", True),
)
"""Customer, time, and one feature of each type: the second is stale by a microsecond, the third just fresh."""
PENCE: Sequence[Row] = ((1, NOW - DAY, 1250), (2, NOW - 400 * DAY, 9999))
POPULARITY: Sequence[Row] = (
    ("vase", NOW - 3 * DAY, 0.002, 1),
    ("12", NOW - DAY, 1e22, 2),
    ("rød", NOW - DAY, 5e-324, 3),
    ('"', NOW - DAY, 1.7976931348623157e308, 4),
    ("", NOW - DAY, 2.0**53 + 2, 5),
    ("\x7f😀", NOW - DAY, 1e16, 6),
    ("small", NOW - DAY, 1.5e-7, 7),
    ("less", NOW - DAY, 0.00001, 8),
    ("more", NOW - DAY, 123456789012345680.0, 9),
    ("power", NOW - DAY, 2.0**-44, 10),
    ("edge", NOW - DAY, 9.999999999999998e15, 11),
    ("old", datetime.fromisoformat("1969-12-31T23:59:59.999999Z"), 2e23, 12),
)
"""Article, time, a number whose text is easily got wrong, a whole number."""
LIKENESS: Sequence[Row] = (
    ("vase", NOW - 3 * DAY, [1.0, -0.0, 0.1 + 0.2]),
    ("clock", NOW - DAY, None),
    ("bowl", NOW - DAY, [5e-324, 1e22, -1.7976931348623157e308]),
)
"""Article, time, a vector."""
PAST_LIKENESS: Sequence[Row] = (
    ("vase", NOW - 5 * DAY, NOW - 5 * DAY, [0.00001, 1e16, -1.5]),
    ("vase", NOW - 3 * DAY, NOW - 2 * DAY, [1.0, -0.0, 0.1 + 0.2]),
    ("clock", NOW - DAY, NOW - DAY, None),
)
"""Article, time, when it was known, a vector: the second is a day late."""
PAST: Sequence[Row] = (
    (1, NOW - 5 * DAY, NOW - 5 * DAY, 10.0, 1, "vase", True),
    (1, NOW - 3 * DAY, NOW - 2 * DAY, 0.30000000000000004, 2, "clock", True),
    (1, NOW - 3 * DAY, NOW - DAY, 11.25, 2, "clock", False),
    (2, NOW - 20 * DAY, NOW - 20 * DAY, 1e16, 1, "bowl", False),
)
"""Customer, time, when it was known, features: the second is a day late, the third corrects it another day later."""
RAW: Sequence[Row] = ((1, "vase", NOW - 4 * DAY, NOW - 4 * DAY, 20.0), (1, "clock", NOW - 2 * DAY, NOW - DAY, 5.0))
"""Customer, article, time, arrival, spend: what labels are made of."""


def fill(platform: Platform) -> None:
    """Set the clock, and write the shop's rows online and into the lake."""
    if isinstance(platform.clock, ReplayClock):
        platform.clock.set(NOW)
    for view, rows in ((history, HISTORY), (history_2, PENCE), (popularity, POPULARITY), (likeness, LIKENESS)):
        features = _FEATURES[view.name, view.version]
        table = _table([view.entity, EVENT_TIME, *features], rows)
        platform.online_store.write(online_view(team.name, view), view.entity, table)
    for view, columns, rows in (
        (history, _FEATURES["history", 1], PAST),
        (parcel, ["weight", "pieces"], PAST),
        (likeness, ["meaning"], PAST_LIKENESS),
    ):
        names = [view.entity, EVENT_TIME, CREATED_AT, *columns]
        past = _table([*names, DATE], [(*row[: len(names)], row[1].date()) for row in rows])
        platform.lake.append(view_table(team.name, view), past)
    raw = _table(["customer_id", "article", "ordered_at", ARRIVED_AT, "spend"], RAW)
    platform.lake.append(raw_table(team.name, "orders"), raw)


def train(platform: Platform) -> None:
    """Write down that version 1 of a model was registered, trained on what was known three days ago."""
    from loopline.platform_core.loop.ledger.entry_kinds import PINNED, REGISTERED
    from loopline.platform_core.loop.ledger.ledger import Entry
    from loopline.platform_core.training import training_set

    pinned = training_set.build(platform, team, team.model("large"), NOW - 3 * DAY)
    platform.ledger.record(Entry(PINNED, NOW, "shop", "large", "large-1", details=training_set.to_json(pinned)))
    platform.ledger.record(Entry(REGISTERED, NOW, "shop", "large", "large-1", "1"))


_FEATURES = {
    ("history", 1): ["spend", "orders", "article", "member"],
    ("history", 2): ["pence"],
    ("popularity", 1): ["spend", "orders"],
    ("likeness", 1): ["meaning"],
}


def _table(names: Sequence[str], rows: Sequence[Row]) -> pa.Table:
    import pyarrow as pa

    instant = pa.timestamp("us", "UTC")
    types: Mapping[str, pa.DataType] = {
        **dict.fromkeys((EVENT_TIME, CREATED_AT, ARRIVED_AT, "ordered_at"), instant),
        **dict.fromkeys(("customer_id", "orders", "pence", "pieces"), pa.int64()),
        **dict.fromkeys(("spend", "weight"), pa.float64()),
        "article": pa.string(),
        "member": pa.bool_(),
        "meaning": pa.list_(pa.float64()),
        DATE: pa.date32(),
    }
    columns = zip(*rows, strict=True)
    return pa.table({name: pa.array(list(column), types[name]) for name, column in zip(names, columns, strict=True)})
