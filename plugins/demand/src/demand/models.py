"""Pieces of the next two weeks: what to learn from, what is good enough, and how it goes live."""

from __future__ import annotations

import narwhals as nw

from demand.features import SEASON, ago, recent_sales, sales
from loopline import specs

TARGET = specs.Forecast(horizon=14, season=SEASON, history=28, unit="pieces", levels=("group", "country"))
MONDAY = 1
"""Goods are ordered on Tuesday mornings, by what was sold until the evening before."""
CELLS = 40_000
"""Steps of rows that trees learn from."""


@specs.labels(
    sales, entities=("series",), time="morning", label="path", known_at="known_at", segments=("group", "country")
)
def sold_in_14_days(rows: nw.LazyFrame) -> nw.LazyFrame:
    """Per series, on Tuesday mornings: what is sold on that day and 13 more, and what was before."""
    every = {"order_by": "day"}
    change = nw.col("change")
    so_far, days = change.cum_sum().over("series", **every), change.cum_count().over("series", **every)
    came = [ago(-n) for n in range(1, TARGET.horizon + 1)]
    before = [ago(n) for n in reversed(range(TARGET.history))]
    return (
        rows.with_columns(change=(nw.col("pieces") - ago(SEASON)).abs())
        .with_columns(days=days, path=specs.vector(*came, *before, so_far / days))
        .filter(specs.weekday(nw.col("day")) == MONDAY, nw.col("days") >= TARGET.history)
        .select(
            *("series", "group", "country", "path"),
            morning=nw.col("day").dt.offset_by("361m"),
            known_at=nw.col("day").dt.offset_by("20521m"),  # the last of 14 files comes on the morning after
        )
    )


def expected_pieces(
    train: specs.Examples, valid: specs.Examples, params: specs.Params, report: specs.Report
) -> specs.DirectForecast:
    """Fit quantiles of each step as multiples of four weeks' mean, by what was sold on the same day of the week."""
    return specs.direct_forecast(
        TARGET, train, valid, params, report, level="mean_28", by_season=("day", "usual"), most_cells=CELLS
    )


pieces = specs.Model(
    "pieces",
    features=(recent_sales,),
    labels=sold_in_14_days,
    target=TARGET,
    fit=expected_pieces,
    search=specs.Search(
        trials=1, space={"learning_rate": specs.uniform(0.08, 0.12), "num_leaves": specs.int_range(15, 31)}
    ),
    gates=(specs.AtMost("mase", 1.0), specs.BeatsChampion("wape", tolerance=0.05)),
    rollout=specs.Rollout(
        percents=(20, 50, 100),
        bake_minutes=7 * 24 * 60,
        min_requests=100,
        # few series are most of the pieces: a tenth of their deviation is much for all others
        judges=(specs.ErrorRate(0.01), specs.ScoreShift(0.1), specs.RealisedQuality(0.3, metric="mase")),
    ),
    drift=specs.Drift(min_rows=1000, share=0.4, cooldown_hours=120 * 24, daily_budget=1, blocks=False),
    compute=specs.Requirements(cpu=2, memory_gb=2),
    description="How many pieces of this article will be sold on each of the next 14 days?",
)
