"""Real orders of an autumn against those of a summer: every alarm names what moved, and how."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from benchmarks.estimated_quality.examples import accepted, examples, instants_us, retail
from loopline.asset_defs.monitoring import _drift_check, _drift_metadata
from loopline.platform_core.contracts.registry import Publication
from loopline.platform_core.contracts.serving import Served
from loopline.platform_core.environment import Environment
from loopline.platform_core.foundation.clock import ReplayClock
from loopline.platform_core.foundation.names import DATE, EVENT_TIME, ModelRef, prediction_table
from loopline.platform_core.loop.deployments.deployments import change
from loopline.platform_core.monitor.drift.drift import report, watch
from loopline.platform_core.monitor.drift.drift_windows import judged
from loopline.platform_core.monitor.drift.profile import build_profile
from loopline.platform_core.platform import Platform
from loopline.platform_core.runtime.prediction_log import log_table
from loopline.platform_core.testing.fakes.drift_report import InMemoryDriftReport
from loopline.platform_core.testing.fakes.registry import InMemoryRegistry
from loopline.platform_core.testing.fakes.serving import InMemoryServing
from loopline.resources.delta.lake import DeltaLake
from loopline.resources.polars.engine import PolarsEngine

LEARNT, END = datetime(2010, 9, 1, tzinfo=UTC), datetime(2010, 12, 10, tzinfo=UTC)
REF = ModelRef("retail", "cancellations")
FIGURE = re.compile(r"(\d\.\d\d \(from \d\.\d\d\)|missing in \d+%): .+")


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform whose live version has learnt from the orders of a summer and answered those of the autumn."""
    home = tmp_path_factory.mktemp("home")
    bindings: Any = {
        "lake": DeltaLake(root=str(home / "lake")),
        "engine": PolarsEngine(),
        "registry": InMemoryRegistry(),
        "serving": InMemoryServing(),
        "drift_report": InMemoryDriftReport(),
    }
    ReplayClock(home / "clock").set(END)
    opened = Platform(
        Environment("test", home / "test.yaml", bindings, f"sqlite:///{home}/ledger.db", home / "clock", home)
    )
    live(opened)
    yield opened
    opened.close()


def live(platform: Platform) -> None:
    """Build the version's profile, let it answer, and write its answers into the lake."""
    model = retail().model(REF.model)
    raw = accepted(retail())
    table, features = examples(model, raw.filter(pc.less(raw["invoiced_at"], pa.scalar(END))))
    learnt = int(np.searchsorted(instants_us(table), int(LEARNT.timestamp()) * 1_000_000))
    scores = np.random.default_rng(0).random(len(table))
    package = platform.home / "packages" / REF.dotted / "1"
    package.mkdir(parents=True)
    build_profile(table.slice(0, learnt), features, scores[:learnt], rule=model.drift).save(package)
    platform.registry.publish(Publication(REF.dotted, package, None, pa.table({})))  # type: ignore[arg-type]
    change(platform, REF, Served("1", package, "c"), None, 0, actor="test", reason="t", cycle="c", now=LEARNT)
    platform.lake.append(prediction_table(*REF), answers(table.slice(learnt), features, scores[learnt:]))


def answers(orders: pa.Table, features: list[str], scores: np.ndarray) -> pa.Table:
    """Write orders as the prediction log would have them."""
    same = {"row": 0, "version": "1", "cycle": "c", "role": "stable", "status": 200, "latency_ms": 1.0, "keys": "{}"}
    rows = [
        {
            **same,
            "request_id": f"r{number:05}",
            "event_time": row[EVENT_TIME],
            "logged_at": row[EVENT_TIME],
            "score": float(score),
            "features": json.dumps({name: row[name] for name in features}),
            "missing": [],
        }
        for number, (row, score) in enumerate(zip(orders.to_pylist(), scores, strict=True))
    ]
    table = pa.Table.from_pylist(rows, schema=log_table.schema())
    return table.append_column(DATE, table[EVENT_TIME].cast(pa.date32()))


def test_each_alarm_is_explained_by_the_columns_that_moved(platform: Platform) -> None:
    """The autumn alarms for articles that the summer did not know, and each column that it names has its figures."""
    team = retail()
    watched = watch(platform, team, team.model(REF.model))
    assert len(watched.windows) >= 4
    found = watched.alarm
    assert found is not None
    assert set(found.moved) == set(found.columns)
    assert all(FIGURE.search(figure) for figure in found.moved.values())
    assert re.search(r"top_article 0\.\d\d \(from 0\.1\d\): .*unseen 0% → [1-4]\d%", found.reason)
    assert next(iter(found.moved.values())) in found.reason
    check = _drift_check(watched)
    assert (check.passed, check.metadata["reason"].value) == (False, found.reason)
    assert check.metadata["moved"].value == dict(found.moved)
    assert "unseen" in _drift_metadata(watched, None)["moved"].value["top_article"]


def test_the_ledger_holds_why(platform: Platform) -> None:
    """Each window's entry has score, threshold and words of each column; a page is drawn of the newest one."""
    team = retail()
    watch(platform, team, team.model(REF.model))
    windows = judged(platform, REF, "1")
    for window in windows:
        for name in window.verdict.drifted:
            one = window.verdict.columns[name]
            assert one.moved, name
            assert one.score >= one.threshold or "missing" in one.moved
    assert {one.kind for one in windows[0].verdict.columns.values()} == {"numeric", "category", "joint"}
    page = report(platform, team, team.model(REF.model))
    assert page is not None
    assert "top_article" in page.read_text()


def test_november_is_told_as_the_trade_would_tell_it(platform: Platform) -> None:
    """Before Christmas orders have more lines, and fewer of them come from customers who are new."""
    team = retail()
    watch(platform, team, team.model(REF.model))
    last = judged(platform, REF, "1")[-1].verdict
    assert {"lines", "value"} & set(last.drifted)
    before, after = re.search(r"mean ([\d.]+) → ([\d.]+)", last.columns["lines"].moved).groups()  # type: ignore[union-attr]
    assert float(after) > 1.2 * float(before)
    assert last.columns["past_orders"].moved.startswith("missing 2")
