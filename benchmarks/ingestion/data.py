"""Lines of a shop, as CSV files and as records of a stream; one in a hundred breaks the contract."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from loopline.platform_core.contracts.event_stream import EventStream, Record
from loopline.platform_core.specs import Model, Source, Team, feature_view, labels

CONTRACT = """apiVersion: v3.1.0
kind: DataContract
id: {source}
version: 1.0.0
status: active
schema:
  - name: {source}
    properties:
      - {{name: line_id, logicalType: integer, required: true}}
      - {{name: sku, logicalType: string, logicalTypeOptions: {{pattern: "^SKU\\\\d{{5}}$"}}}}
      - {{name: country, logicalType: string, required: true}}
      - {{name: quantity, logicalType: integer, logicalTypeOptions: {{minimum: 1, maximum: 1000}}}}
      - {{name: price, logicalType: number, logicalTypeOptions: {{exclusiveMinimum: 0}}}}
      - {{name: sold_at, logicalType: timestamp, required: true, logicalTypeOptions: {{format: "%Y-%m-%d %H:%M:%S"}}}}
"""
COUNTRIES = ("UK", "FR", "DE", "US", "ES")
START = datetime(2026, 1, 1, tzinfo=UTC)
PUBLISHED = 10_000


def table(rows: int, first: int = 0) -> pa.Table:
    """Make lines of text."""
    random = np.random.default_rng(first)
    price = np.where(random.random(rows) < 0.01, -1, random.gamma(2, 5, rows).round(2) + 0.01)
    seconds = (first + np.arange(rows)).astype("timedelta64[s]")
    columns = {
        "line_id": first + np.arange(rows),
        "sku": np.char.add("SKU", np.char.zfill(random.integers(0, 5000, rows).astype(str), 5)),
        "country": random.choice(COUNTRIES, rows),
        "quantity": random.integers(1, 50, rows),
        "price": price.round(2),
        "sold_at": np.char.replace(np.datetime_as_string(np.datetime64("2026-01-01T00:00:00") + seconds), "T", " "),
    }
    return pa.table({name: pa.array(values.astype(str), pa.string()) for name, values in columns.items()})


def write_files(folder: Path, files: int, rows: int) -> None:
    """Write CSV files."""
    from pyarrow import csv

    folder.mkdir(parents=True)
    for number in range(files):
        csv.write_csv(table(rows, number * rows), folder / f"{number:03}.csv")


def publish(stream: EventStream, name: str, rows: int) -> None:
    """Publish records, a JSON object each, keyed by country."""
    for first in range(0, rows, PUBLISHED):
        stream.publish(name, list(_records(min(PUBLISHED, rows - first), first)))


def team(folder: Path) -> Team:
    """Declare a team of two sources, files and a stream, its contracts written into the folder."""
    models = []
    for name, arrives in (("files", "daily"), ("events", "stream")):
        (folder / f"{name}.yaml").write_text(CONTRACT.format(source=name))
        source = Source(name, f"{name}.yaml", arrives=arrives)
        view = feature_view(source, entity="line_id", time="sold_at")(_same)
        label = labels(source, entities=("line_id",), time="sold_at", label="price", known_at="sold_at")(_same)
        models.append(Model(f"any_{name}", (view,), label, fit=lambda *_: None))
    return Team("bench", folder, tuple(models))


def _records(rows: int, first: int) -> Iterator[Record]:
    for row in table(rows, first).to_pylist():
        numbers = {"line_id": int(row["line_id"]), "quantity": int(row["quantity"]), "price": float(row["price"])}
        yield Record(json.dumps(row | numbers).encode(), row["country"].encode())


def _same(rows):
    return rows
