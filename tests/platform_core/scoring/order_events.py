"""The retailer's real orders as events of a stream, windows over them, and a model that takes their features."""

from __future__ import annotations

import csv
import json
import lzma
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from loopline.platform_core.contracts.event_stream import Record
from loopline.platform_core.contracts.registry import Publication
from loopline.platform_core.contracts.serving import Served
from loopline.platform_core.foundation.names import ModelRef, online_view
from loopline.platform_core.loop.deployments.deployments import change
from loopline.platform_core.platform import Platform
from loopline.platform_core.runtime.model.manifest import FeatureField, Manifest, Parity, WindowsField
from loopline.platform_core.specs import FeatureView, Model, Source, Team, Window, labels, windows

CONTRACT = """apiVersion: v3.1.0
kind: DataContract
id: placed
version: 1.0.0
status: active
schema:
  - name: placed
    properties:
      - {name: invoice, logicalType: string, required: true, primaryKey: true, primaryKeyPosition: 1}
      - {name: customer, logicalType: integer, required: true}
      - {name: placed_at, logicalType: timestamp, required: true}
      - {name: value, logicalType: number, required: true, logicalTypeOptions: {minimum: 0}}
      - {name: lines, logicalType: integer}
      - {name: country, logicalType: string}
"""
PLACED = Source("placed", contract="placed.yaml", arrives="stream")
REF = ModelRef("shop", "fraud")
WINDOWS = {
    "orders_1d": Window.count(days=1),
    "spent_7d": Window.sum("value", days=7),
    "mean_last_3": Window.mean("value", events=3, days=30),
    "largest_7d": Window.max("value", days=7),
    "countries_30d": Window.distinct("country", days=30),
    "value_before": Window.before("value", days=30),
    "seconds_since": Window.since(days=30),
    "value": Window.own("value"),
}


def activity(version: int = 1, **changed: Window) -> FeatureView:
    """Declare what is known of a customer's orders, or another version of it."""
    keys = {"entity": "invoice", "by": "customer", "time": "placed_at"}
    return windows("activity", PLACED, **keys, features=WINDOWS | changed, late_days=2, version=version)


@labels(PLACED, entities=("customer", "invoice"), time="placed_at", label="large", known_at="placed_at")
def large(orders: Any) -> Any:
    """Per order: whether it is large."""
    import narwhals as nw

    return orders.with_columns(large=nw.col("value") > 100)


def team(folder: Path, *views: FeatureView) -> Team:
    """Declare the team, with its contract written into a folder."""
    folder.joinpath("placed.yaml").write_text(CONTRACT)
    return Team("shop", folder, (Model("fraud", views or (activity(),), large, fit=None),))  # type: ignore[arg-type]


def real_orders(lines: int = 15_000) -> list[dict[str, Any]]:
    """Read the first orders of the retailer's log, in the order in which they were placed."""
    path = files("retail") / "data" / "online_retail.csv.xz"
    with path.open("rb") as raw, lzma.open(raw, "rt", encoding="utf-8") as text:
        rows = [row for row in islice(csv.DictReader(text), lines) if row["Customer ID"] and row["Invoice"][0] != "C"]
    return sorted(_orders(rows), key=lambda order: order["placed_at"])


def _orders(rows: Sequence[dict[str, str]]) -> Iterator[dict[str, Any]]:
    by_invoice: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        by_invoice.setdefault(row["Invoice"], []).append(row)
    for invoice, lines in by_invoice.items():
        at = datetime.strptime(lines[0]["InvoiceDate"], "%m/%d/%Y %H:%M").replace(tzinfo=UTC)
        value = sum(int(line["Quantity"]) * float(line["Price"]) for line in lines)
        yield {
            "invoice": invoice,
            "customer": int(float(lines[0]["Customer ID"])),
            "placed_at": at.isoformat(),
            "value": round(value, 2),
            "lines": len(lines),
            "country": lines[0]["Country"],
        }


def records(orders: Sequence[dict[str, Any]]) -> list[Record]:
    """Make records, each under its customer."""
    keyed = [(str(order.get("customer")).encode(), order) for order in orders]
    return [Record(json.dumps(order).encode(), key) for key, order in keyed]


class Weighed:
    """An estimator whose probability depends on every feature, so that a wrong one shows in the answer."""

    def predict_proba(self, x: Any) -> Any:
        """Return (rows, 2) probabilities."""
        shares = 1 / (1 + np.exp(-np.nan_to_num(x / (1 + np.abs(x))).sum(axis=1)))
        return np.column_stack([1 - shares, shares])


def live(platform: Platform, folder: Path, view: FeatureView, version: str = "1") -> Served:
    """Publish a version that takes a view's features, and make it the stable one."""
    import pickle

    names = [name for name, _ in view.compute.features]  # type: ignore[attr-defined]
    folder.mkdir(parents=True)
    folder.joinpath("model.pkl").write_bytes(pickle.dumps(Weighed()))
    Manifest(
        model=REF.dotted,
        kind="pickle",
        file="model.pkl",
        features=[FeatureField(name, "request") for name in names],
        views=[],
        entities=["customer", "invoice"],
        vocabulary={},
        threshold=0.5,
        training_set="t",
        cycle=f"cycle-{version}",
        parity=Parity(0, 0.0, "a model for tests is served as it is"),
        windows=[WindowsField(online_view("shop", view), "shop/placed", names, view.compute)],  # type: ignore[arg-type]
    ).save(folder)
    served = Served(version, folder, f"cycle-{version}")
    platform.registry.publish(Publication(REF.dotted, folder, None, None))  # type: ignore[arg-type]
    why = {"actor": "t", "reason": "t", "cycle": served.cycle, "now": platform.clock.now()}
    change(platform, REF, served, None, 0, **why)
    return served


def features(row: dict[str, Any]) -> dict[str, Any]:
    """Read what was logged as features of a row of the log."""
    return msgspec.json.decode(row["features"])
