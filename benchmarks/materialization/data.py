"""A source whose rows are a view's rows, so that what is measured is the way and not the team's function."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopline.platform_core.foundation.names import ARRIVED_AT, CREATED_AT, EVENT_TIME

if TYPE_CHECKING:
    import narwhals as nw
    import pyarrow as pa

    from loopline.platform_core.specs import Team

ENTITY = "customer_id"
FEATURES = tuple(f"f{number}" for number in range(10))
START_US, DAYS, DAY_US = 1_767_225_600_000_000, 90, 86_400_000_000
CONTRACT = """apiVersion: v3.1.0
kind: DataContract
id: readings
version: 1.0.0
status: active
schema:
  - name: readings
    properties:
"""


def rows(size: int, entities: int, seed: int = 0, first_day: int = 0) -> pa.Table:
    """Make accepted raw rows: entity, ``happened_at``, ten numbers, known at once."""
    import numpy as np
    import pyarrow as pa

    random = np.random.default_rng(seed)
    moments = START_US + first_day * DAY_US + random.choice(DAYS * DAY_US // 1000, size, replace=False) * 1000
    times = pa.array(moments).cast(pa.timestamp("us", "UTC"))
    columns = {ENTITY: random.integers(0, entities, size), "happened_at": times, ARRIVED_AT: times}
    return pa.table(columns | {name: random.random(size) for name in FEATURES})


def offline(raw: pa.Table) -> pa.Table:
    """Name raw rows as those of the view's offline table."""
    names = {"happened_at": EVENT_TIME, ARRIVED_AT: CREATED_AT}
    return raw.rename_columns([names.get(name, name) for name in raw.column_names])


def team(folder: Path) -> Team:
    """Declare the team, its contract written into the folder."""
    from loopline.platform_core.specs import Model, Source, Team, feature_view, labels

    kinds = {ENTITY: "integer", "happened_at": "timestamp", **dict.fromkeys(FEATURES, "number")}
    properties = [f"      - {{name: {name}, logicalType: {kind}}}\n" for name, kind in kinds.items()]
    (folder / "readings.yaml").write_text(CONTRACT + "".join(properties))
    source = Source("readings", "readings.yaml")
    view = feature_view(source, entity=ENTITY, time="happened_at", ttl_days=3650)(readings)
    label = labels(source, entities=(ENTITY,), time="happened_at", label="f0", known_at="happened_at")(readings)
    return Team("bench", folder, (Model("any", (view,), label, fit=_never),))


def readings(lines: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Give the rows as they are."""
    return lines.select(ENTITY, "happened_at", *FEATURES)


def _never(*_: object) -> None:
    """Fit nothing: no model is trained here."""
