"""Forecasts, live: what is missed of the first day tells of the rest before it comes; then figures, and a fan."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import narwhals as nw
import numpy as np
import pytest

from loopline.platform_core.foundation.names import ARRIVED_AT, DATE, raw_table, realised_table
from loopline.platform_core.loop.rollouts.quality_entries import DRAWN
from loopline.platform_core.loop.sentences import sentence
from loopline.platform_core.monitor.quality.quality_figures import history
from loopline.platform_core.monitor.quality.quality_history import measured
from loopline.platform_core.specs import Forecast, Quality, Source, labels, vector
from tests.platform_core.homes import raw_rows

START = datetime(2011, 3, 7, tzinfo=UTC)
TARGET = Forecast(horizon=3, season=2, history=2, unit="pieces", levels=("country",))
SERIES = np.arange(1, 121)
SALES = Source("orders", contract="contracts/orders.yaml")


@labels(SALES, entities=("order_id",), time="ordered_at", label="path", known_at="known_at", segments=("country",))
def sold(rows: nw.LazyFrame) -> nw.LazyFrame:
    """Per series and day: what is sold on the three days that follow, and on the two up to it."""
    days = [nw.col("spent").shift(-n).over("order_id", order_by="ordered_at") for n in (1, 2, 3, -1, 0)]
    return rows.select(
        *("order_id", "ordered_at", "country"),
        path=vector(*days, nw.col("order_id") / 10),
        known_at=nw.col("ordered_at").dt.offset_by("74h"),
    )


def sell(shop, first: int, last: int) -> None:
    """Let the days of all series arrive, from one to before another, each the next morning."""
    for day in range(first, last):
        at, count = START + timedelta(days=day), len(SERIES)
        told = {"ordered_at": [at] * count, ARRIVED_AT: [at + timedelta(hours=26)] * count}
        told |= {"spent": SERIES * (1.0 + day % 2), "country": ["France", "EIRE"] * (count // 2)}
        shop.platform.lake.append(raw_table("shop", "orders"), raw_rows("ordered_at", order_id=SERIES, **told))
    shop.platform.clock.set(START + timedelta(days=last, hours=3))


def told(times: float) -> np.ndarray:
    """Return forecasts from day 2 on that say so many times what comes, between 0.5 and 2 times that."""
    came = times * SERIES[:, None] * np.array([2.0, 1.0, 2.0])
    return np.stack([0.5 * came, came, 2 * came], axis=2).reshape(len(SERIES), -1)


def answer(shop, raw: np.ndarray) -> None:
    """Write what was forecast on day 2."""
    at, rows = START + timedelta(days=2), []
    for number, row in zip(SERIES.tolist(), raw.tolist(), strict=True):
        said = {"request_id": f"r{number}", "keys": json.dumps({"order_id": number}), "role": "stable"}
        said |= {"event_time": at, "logged_at": at, DATE: at.date(), "raw": row}
        rows.append(shop._row({}, float(TARGET.reading(np.array([row]))[0]), "1") | said)
    shop.keep(rows)


def hold_out(shop) -> None:
    """Put rows that it never learnt from into the package: it missed a fifth, with some noise."""
    random = np.random.default_rng(1)
    path = SERIES[:, None] * np.array([2.0, 1.0, 2.0]) * random.normal(1, 0.1, (len(SERIES), 3))
    past = np.column_stack([SERIES, 2.0 * SERIES, SERIES / 10])
    package = shop.platform.home / "packages" / "shop.returns" / "1"
    TARGET.estimation.held_out(TARGET, told(1.2), np.column_stack([path, past])).save(package, TARGET.estimation.file)


def look(shop, model) -> dict[tuple[str, bool], float]:
    """Measure, and return figures of all rows by metric and whether they are estimates."""
    measured(shop.platform, shop.team, model)
    return {(m.metric, m.estimated): m.value for m in history(shop.platform, shop.ref) if not m.segment}


def test_first_days_tell_of_the_rest_and_then_everything_has_come(shop) -> None:
    """After a day there is an estimate, by half worse than what was held out; after three what came so."""
    shop.deploy()
    model = replace(shop.model, labels=sold, target=TARGET, quality=Quality(days=7, wait_days=3.1))
    hold_out(shop)
    sell(shop, 0, 3)
    answer(shop, told(1.3))
    found = look(shop, model)
    assert set(found) == {("interval_width", False), ("wape", True)}, "widths need no label"
    assert found["wape", True] == pytest.approx(0.2, abs=0.02)
    sell(shop, 3, 4)
    assert look(shop, model)["wape", True] == pytest.approx(0.3, abs=0.03), "a day is worse than it was"
    assert shop.platform.lake.version(realised_table("shop", "returns")) is None, "no judge sees a part of a label"
    assert not shop.platform.ledger.entries(shop.ref, [DRAWN])
    sell(shop, 4, 6)
    found = look(shop, model)
    assert found["wape", False] == pytest.approx(0.3)
    assert found["mase", False] == pytest.approx(0.3 * 5 / 3 * 10)
    assert found["coverage", False] == 1
    kept = shop.platform.lake.read(realised_table("shop", "returns"))["label"].to_pylist()
    assert kept[0][:3] == [2, 1, 2]


def test_what_came_is_drawn_beside_the_forecast_once(shop) -> None:
    """The newest version's largest series; a second look that sees the same writes nothing."""
    shop.deploy()
    model = replace(shop.model, labels=sold, target=TARGET, quality=Quality(days=7, wait_days=3.1))
    sell(shop, 0, 6)
    answer(shop, told(1.3))
    look(shop, model)
    look(shop, model)
    (entry,) = shop.platform.ledger.entries(shop.ref, [DRAWN])
    fan, *_ = entry.details["drawings"]
    assert fan["title"] == "120"
    assert [dot[1] for dot in fan["curves"][0]["dots"]] == pytest.approx([312, 156, 312])
    level = entry.details["drawings"][-1]
    assert level["rows"] == ["series", "country", "all"]
    assert level["values"][-1] == pytest.approx([1.3 * (0.3 * 0.5 + 0.4 + 0.3 * 2) - 1, 0]), "a season repeats itself"
    assert "version 1 drawn beside its newest labels: 120" in sentence(entry)
