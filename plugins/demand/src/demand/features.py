"""What was sold of an article in its market until the evening before."""

from __future__ import annotations

from functools import reduce
from operator import add

import narwhals as nw

from loopline.specs import Source, feature_view, weekday

sales = Source("sales", contract="contracts/sales.v1.yaml", arrives="daily")
SEASON = 7


def ago(days: int) -> nw.Expr:
    """Return what was sold so many days before a row's own day; 0 is the day itself."""
    return nw.col("pieces").shift(days).over("series", order_by="day")


def mean(days: int, of: str = "pieces") -> nw.Expr:
    """Return the mean of so many days, the row's own included."""
    return nw.col(of).rolling_mean(days, min_samples=SEASON).over("series", order_by="day")


@feature_view(sales, entity="series", time="day", served="request")
def recent_sales(rows: nw.LazyFrame) -> nw.LazyFrame:
    """Per series and day, which whoever orders brings along: pieces of its last seven days, and what is usual."""
    by_day = {f"day_{n + 1}": ago(n).cast(nw.Float64) for n in range(SEASON)}
    usual = {f"usual_{n + 1}": reduce(add, (ago(n + SEASON * week) for week in range(4))) / 4 for n in range(SEASON)}
    return (
        rows.with_columns(sold=nw.when(nw.col("pieces") > 0).then(1.0).otherwise(0.0))
        .with_columns(
            **by_day,
            **usual,
            mean_28=mean(28),
            mean_91=mean(91),
            sold_28=mean(28, "sold"),
            weekday=weekday(nw.col("day")).cast(nw.Float64),
        )
        .select(*("series", "day", *by_day, *usual, "mean_28", "mean_91", "sold_28", "weekday", "group", "country"))
    )
