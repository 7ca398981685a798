"""Real orders of every second customer, answered by models of the team and measured as labels come."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from benchmarks.estimated_quality.examples import accepted, examples, instants_us, retail
from loopline.platform_core.environment import Environment
from loopline.platform_core.foundation.clock import ReplayClock
from loopline.platform_core.foundation.names import DATE, EVENT_TIME, ModelRef, prediction_table, raw_table
from loopline.platform_core.monitor.quality import fairness_verdicts
from loopline.platform_core.monitor.quality.quality_figures import Measured, history
from loopline.platform_core.monitor.quality.quality_history import measured
from loopline.platform_core.platform import Platform
from loopline.platform_core.runtime.prediction_log import log_table
from loopline.platform_core.specs import Model
from loopline.platform_core.testing.fakes.registry import InMemoryRegistry
from loopline.platform_core.training.encode import matrix
from loopline.platform_core.training.examples import learnable
from loopline.resources.delta.lake import DeltaLake
from loopline.resources.polars.engine import PolarsEngine

LIVE, END = datetime(2010, 9, 1, tzinfo=UTC), datetime(2011, 3, 1, tzinfo=UTC)
PARAMS = {"learning_rate": 0.06, "num_leaves": 15, "min_child_samples": 50}


@pytest.fixture(scope="module")
def raw() -> pa.Table:
    """Read the accepted lines of every second customer until the story's end."""
    rows = accepted(retail())
    odd = pc.equal(pc.bit_wise_and(rows["customer_id"], 1), 1)
    return rows.filter(pc.and_(odd, pc.less(rows["invoiced_at"], pa.scalar(END + timedelta(days=40)))))


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory, raw: pa.Table) -> Iterator[Platform]:
    """A platform in whose lake all of them lie."""
    home = tmp_path_factory.mktemp("home")
    bindings: Any = {
        "lake": DeltaLake(root=str(home / "lake")),
        "engine": PolarsEngine(),
        "registry": InMemoryRegistry(),
    }
    ReplayClock(home / "clock").set(END + timedelta(days=40))
    ledger = f"sqlite:///{home}/ledger.db"
    opened = Platform(Environment("test", home / "test.yaml", bindings, ledger, home / "clock", home))
    opened.lake.append(raw_table("retail", "orders"), raw.append_column(DATE, raw["invoiced_at"].cast(pa.date32())))
    yield opened
    opened.close()


def answered(platform: Platform, model: Model, raw: pa.Table) -> None:
    """Fit a version on what was known, keep its held-out rows, and let it answer half a year of orders."""
    table, features = examples(model, raw)
    times = instants_us(table)
    known, first, last = (
        int(np.searchsorted(times, int(at.timestamp()) * 1_000_000)) for at in (LIVE - timedelta(days=31), LIVE, END)
    )
    data = learnable(table.slice(0, known), features, model.target)
    fitted = model.fit(data.part(data.parts.train), data.part(data.parts.valid), PARAMS, lambda _step, _score: None)
    held = slice(data.parts.train.stop, None)
    package = platform.home / "packages" / f"retail.{model.name}" / "1"
    package.mkdir(parents=True)
    kept = model.target.estimation.held_out(model.target, model.target.predictions(fitted, data.x[held]), data.y[held])
    kept.save(package, model.target.estimation.file)
    orders = table.slice(first, last - first)
    given = {name: orders.column(name) for name in features}
    scores = model.target.predictions(fitted, matrix(given, features, data.encoded.vocabulary))
    platform.lake.append(prediction_table("retail", model.name), log(orders, scores, model))


def log(orders: pa.Table, scores: np.ndarray, model: Model) -> pa.Table:
    """Write orders as the prediction log would have them."""
    rows = orders.to_pylist()
    same = {"row": 0, "version": "1", "cycle": "c", "role": "stable", "status": 200, "latency_ms": 1.0, "missing": []}
    entries = [
        {
            **same,
            "request_id": f"r{number}",
            "event_time": row[EVENT_TIME],
            "logged_at": row[EVENT_TIME],
            "asked_at": row[EVENT_TIME],
            "score": float(score),
            "keys": json.dumps({entity: row[entity] for entity in model.labels.entities}),
            "features": json.dumps({"weekday": row["weekday"]}),
            "stale": [],
        }
        for number, (row, score) in enumerate(zip(rows, scores, strict=True))
    ]
    table = pa.Table.from_pylist(entries, schema=log_table.schema())
    return table.append_column(DATE, table[EVENT_TIME].cast(pa.date32()))


def figures(found: list[Measured], metric: str, segment: str = "", *, estimated: bool = False) -> list[Measured]:
    """Pick the windows of a metric."""
    return [m for m in found if (m.metric, m.segment, m.estimated) == (metric, segment, estimated)]


def test_cancellations_are_measured_by_country_and_month(platform: Platform, raw: pa.Table) -> None:
    """Seven windows, every label come, estimates near; fairness follows the model's gate, and no month is unfair."""
    team = retail()
    model = team.model("cancellations")
    answered(platform, model, raw)
    assert measured(platform, team, model).windows == 7
    found = history(platform, ModelRef("retail", "cancellations"))
    real, guessed = figures(found, "roc_auc"), figures(found, "roc_auc", estimated=True)
    assert all(m.labelled == m.rows > 200 for m in real)
    assert all(0.5 < m.low < m.value < m.high < 0.9 for m in real if m.rows > 500)
    assert np.mean([abs(g.value - r.value) for g, r in zip(guessed, real, strict=True)]) < 0.06
    assert {"country=United Kingdom", "country=EIRE"} <= {m.segment for m in found}
    judged = fairness_verdicts.history(platform, ModelRef("retail", "cancellations"))
    assert {(f.column, f.metric, f.within) for f in judged} == {("country", "recall", 0.3)}
    assert not [f.reason for f in judged if f.verdict == "unfair"]


def test_repeat_orders_are_measured_by_what_its_file_names(platform: Platform, raw: pa.Table) -> None:
    """A segment that is a feature, and two rules of fairness: Ireland is two wholesalers, of whom all is expected."""
    team = retail()
    model = team.model("repeat_orders")
    answered(platform, model, raw)
    cast("ReplayClock", platform.clock).set(END + timedelta(days=10))
    measured(platform, team, model)
    found = history(platform, ModelRef("retail", "repeat_orders"))
    assert {m.segment.partition("=")[0] for m in found} == {"", "country", "weekday"}
    newest = figures(found, "recall")[-1]
    assert 0 < newest.labelled < newest.rows, "labels of the last three weeks are still to come"
    assert figures(found, "recall", estimated=True)[-1].rows == newest.rows, "estimates do not wait for them"
    judged = fairness_verdicts.history(platform, ModelRef("retail", "repeat_orders"))
    assert {f.metric for f in judged} == {"recall", "positive_rate"}
    assert {f.group for f in judged if f.verdict == "unfair"} == {"EIRE"}
