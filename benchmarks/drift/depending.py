"""Sources whose rows depend on each other: shops that move together, seasons, and real orders by week."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.drift import shop
from benchmarks.estimated_quality import examples
from loopline.platform_core.foundation.names import EVENT_TIME
from loopline.platform_core.monitor.drift.block_profile import with_blocks
from loopline.platform_core.monitor.drift.profile import Profile, build_profile

BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
WEEK, DAY = 604_800, 86_400
SHOPS, PANEL_WEEKS = 80, 63
SEASON_WEEKS, A_DAY = 60, 250
LATER_WEEKS = 52


@dataclass(frozen=True)
class Source:
    """Where rows come from: what was learnt, windows of later or of between when nothing new happens, what is moved."""

    name: str
    learnt: Callable[[int], pa.Table]
    quiet: Callable[[int], list[pa.Table]]
    moved: tuple[str, ...]
    rows: int = 500
    seeds: int = 4


def profiles(table: pa.Table, min_rows: int, seed: int) -> tuple[Profile, Profile]:
    """Profile a training set without its blocks, as it was done before, and with them."""
    features = [name for name in table.column_names if name not in {EVENT_TIME, "score"}]
    scores = np.asarray(table.column("score").to_numpy())
    plain = build_profile(table, features, scores, seed=seed)
    return plain, with_blocks(plain, table, scores, min_rows, seed)


def windows(table: pa.Table, rows: int) -> list[pa.Table]:
    """Cut what came later into windows of so many rows, in order."""
    return [table.slice(start, rows) for start in range(0, table.num_rows - rows + 1, rows)]


def _panel(weeks: range, seed: int) -> pa.Table:
    """Draw a row a shop and week; prices, stock and weather move in all shops at once, a quarter of it lasting."""
    random = np.random.default_rng([seed, 7])
    last = weeks.stop
    shops = {name: random.normal(size=SHOPS) for name in ("price", "staff", "sales")}
    style = random.choice(["city", "mall", "road"], SHOPS)
    common = {name: _lasting(random, last, 0.5) for name in ("price", "stock", "heat", "sales", "promo")}
    drawn: dict[str, np.ndarray] = {}
    for name in ("price", "stock", "heat", "sales", "staff", "visits"):
        noise = random.normal(size=(last, SHOPS))
        drawn[name] = noise + shops.get(name, 0.0) + 0.7 * common.get(name, np.zeros(last))[:, None]
    drawn["offer"] = random.random((last, SHOPS)) < 1 / (1 + np.exp(1 - common["promo"]))[:, None]
    columns = {name: values[weeks.start :].ravel().astype(float) for name, values in drawn.items()}
    offer = columns.pop("offer")
    columns["kind"] = np.tile(style, len(weeks))
    columns["offer"] = np.where(offer > 0, "yes", "no")
    columns["score"] = 1 / (1 + np.exp(-columns["sales"]))
    return _timed(columns, np.repeat(np.arange(weeks.start, weeks.stop) * WEEK, SHOPS))


def _seasons(days: range, seed: int) -> pa.Table:
    """Draw rows by day and hour; amounts follow the hour, the weekday and the year, baskets the weekday."""
    random = np.random.default_rng([seed, days.start, 8])
    seconds = np.sort(random.integers(days.start * DAY, days.stop * DAY, len(days) * A_DAY))
    hour, weekday, year = (seconds % length / length for length in (DAY, WEEK, 365 * DAY))
    size = len(seconds)
    warm = np.sin(2 * np.pi * year)
    columns = {
        "amount": random.normal(size=size) + 0.6 * np.sin(2 * np.pi * hour) + 0.5 * warm,
        "items": random.poisson(3 + 1.5 * (weekday > 5 / 7)).astype(float),
        "heat": 10 * warm + 3 * random.normal(size=size),
        "wait": random.exponential(1 + 0.5 * (hour > 0.7)),
        "distance": random.lognormal(size=size),
        "age": random.normal(size=size),
        "article": np.where(random.random(size) < 0.3 + 0.2 * warm, "ice", "soup"),
        "pays": random.choice(["card", "cash", "later"], size),
    }
    columns["score"] = 1 / (1 + np.exp(-columns["amount"] - random.normal(size=size)))
    return _timed(columns, seconds)


def _lasting(random: np.random.Generator, weeks: int, stays: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    values = random.normal(size=weeks)
    for week in range(1, weeks):
        values[week] = stays * values[week - 1] + np.sqrt(1 - stays**2) * values[week]
    return values


def _timed(columns: dict[str, np.ndarray], seconds: np.ndarray) -> pa.Table:
    begin = int(BEGIN.timestamp())
    times = pa.array((begin + seconds.astype(np.int64)) * 1_000_000, pa.timestamp("us", tz="UTC"))
    return pa.table({EVENT_TIME: times, **columns})


@lru_cache
def _orders() -> pa.Table:
    """Return real orders in order of time, with the features and the score that a model of the retail team had."""
    team = examples.retail()
    model = next(model for model in team.models if model.name == "cancellations")
    rows, features = examples.examples(model, examples.accepted(team))
    return rows.select([EVENT_TIME, *features]).append_column("score", pa.nulls(len(rows), pa.float64()))


def _weeks(fourth: bool) -> list[pa.Table]:
    """Return the real orders week by week: every fourth week, or the others."""
    rows = _orders()
    weeks = pc.divide(pc.cast(rows.column(EVENT_TIME), pa.int64()), WEEK * 1_000_000).to_numpy()
    kept = [week for week in np.unique(weeks) if (week % 4 == 0) == fourth]
    return [rows.filter(pa.array(weeks == week)) for week in kept]


SOURCES = (
    Source(
        "independent",
        lambda seed: shop.rows(np.random.default_rng([seed, 0]), shop.REFERENCE),
        lambda seed: [shop.rows(np.random.default_rng([seed, number, 1]), 500) for number in range(50)],
        (shop.COLUMN, shop.SKEWED),
    ),
    Source(
        "panel",
        lambda seed: _panel(range(PANEL_WEEKS), seed),
        lambda seed: windows(_panel(range(PANEL_WEEKS, PANEL_WEEKS + 2 * LATER_WEEKS), seed), 500),
        ("price", "visits"),
    ),
    Source(
        "seasons",
        lambda seed: _seasons(range(SEASON_WEEKS * 7), seed),
        lambda seed: windows(_seasons(range(SEASON_WEEKS * 7, (SEASON_WEEKS + LATER_WEEKS) * 7), seed), 500)[::3],
        ("amount", "age"),
    ),
    Source(
        "orders",
        lambda _: pa.concat_tables(_weeks(fourth=False)),
        lambda _: [window for week in _weeks(fourth=True) for window in windows(week, 200)],
        ("lines", "value"),
        rows=200,
        seeds=1,
    ),
)
