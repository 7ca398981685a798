"""Every order of the two years as a training example: features as they were known when it was placed, and its label."""

from __future__ import annotations

import lzma
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from loopline.platform_core import plugins
from loopline.platform_core.contracts.engine import ViewRows
from loopline.platform_core.foundation.names import ARRIVED_AT, CREATED_AT, EVENT_TIME, LABEL
from loopline.platform_core.specs import Model, Team
from loopline.platform_core.specs.contracts.odcs import read_contract
from loopline.resources.polars.engine import PolarsEngine

ARRIVES = timedelta(hours=26)
"""A day's file is there at two in the morning of the next one."""


def retail() -> Team:
    """Return the team whose data travels with it."""
    return plugins.installed(only=["retail"]).team("retail")


def accepted(team: Team) -> pa.Table:
    """Read the lines that keep the contract, with the time at which each arrived."""
    contract = read_contract(Path(team.folder) / "contracts" / "orders.v2.yaml")
    with lzma.open(Path(team.folder) / "data" / "online_retail.csv.xz") as file:
        content = file.read()
    names = content.partition(b"\n")[0].decode().strip().split(",")
    text = csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()), null_values=[""], strings_can_be_null=True
    )
    rows = PolarsEngine().check_rows(csv.read_csv(BytesIO(content), convert_options=text), contract).good
    days = pc.floor_temporal(rows["invoiced_at"], unit="day")
    arrived = pc.add(days, pa.scalar(ARRIVES, pa.duration("us")))
    return rows.append_column(ARRIVED_AT, arrived.cast(pa.timestamp("us", "UTC")))


def examples(model: Model, raw: pa.Table) -> tuple[pa.Table, list[str]]:
    """Return one row per order in order of time, and the names of its features."""
    engine, entities = PolarsEngine(), list(model.labels.entities)
    labels = engine.compute_labels(model.labels, raw).select([*entities, EVENT_TIME, LABEL])
    views = [ViewRows(view, engine.compute_view(view, raw)) for view in model.features]
    features = [
        name
        for read in views
        for name in read.rows.column_names
        if name not in {read.view.entity, EVENT_TIME, CREATED_AT}
    ]
    rows = engine.point_in_time(labels, views).select([*entities, EVENT_TIME, *features, LABEL])
    order = [(name, "ascending") for name in (EVENT_TIME, *entities)]
    return rows.sort_by(order).combine_chunks(), features


def instants_us(rows: pa.Table) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the event times (µs since 1970)."""
    return np.asarray(rows[EVENT_TIME].cast(pa.int64()).to_numpy(), dtype=np.int64)
