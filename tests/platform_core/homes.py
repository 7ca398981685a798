"""Homes of platforms that tests open on real parts, with a clock to move, and rows as they lie there."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from loopline.platform_core.environment import Environment
from loopline.platform_core.foundation.clock import ReplayClock
from loopline.platform_core.foundation.names import ARRIVED_AT, DATE
from loopline.platform_core.platform import Platform
from loopline.platform_core.testing.fakes.registry import InMemoryRegistry
from loopline.resources.delta.lake import DeltaLake
from loopline.resources.polars.engine import PolarsEngine
from tests.platform_core.ledgers import new_ledger


def log_row(request_id: str, at: datetime, version: str, score: float | None, **more: Any) -> dict[str, Any]:
    """Return an answered row as the log has it; without a score the request has failed."""
    row = {"request_id": request_id, "row": 0, "event_time": at, "logged_at": at, "version": version, "cycle": ""}
    row |= {"role": "stable", "status": 500 if score is None else 200, "latency_ms": 1.0, "score": score}
    return row | {"keys": "{}", "features": "{}", "missing": []} | more


def raw_rows(time: str, **columns: Any) -> pa.Table:
    """Make accepted rows of columns, which arrived when they happened by their ``time`` unless they say otherwise."""
    instant, columns = pa.timestamp("us", tz="UTC"), {ARRIVED_AT: columns[time]} | columns
    made = {name: pa.array(of, instant if isinstance(of[0], datetime) else None) for name, of in columns.items()}
    return pa.table(made | {DATE: made[time].cast(pa.date32())})


def opened(home: Path, start: datetime, **vendors: object) -> Platform:
    """Open a platform on a lake, an engine, a registry and other vendors; its clock stands at the start."""
    bindings = {"lake": DeltaLake(root=str(home / "lake")), "engine": PolarsEngine(), "registry": InMemoryRegistry()}
    clock = home / "clock"
    ReplayClock(clock).set(start)
    return Platform(Environment("test", home / "test.yaml", bindings | vendors, new_ledger(home), clock, home))
