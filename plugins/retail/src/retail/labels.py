"""What became of an order within 30 days."""

from __future__ import annotations

from datetime import UTC, datetime

import narwhals as nw

from loopline.specs import labels
from retail.features import TAKES_BACK, orders

entities = ("customer_id", "invoice")
late = labels(orders, entities=entities, time="invoiced_at", label="label", known_at="known_at", segments=("country",))
LOG_HOLDS_90_DAYS = datetime(2010, 3, 1, tzinfo=UTC)
"""The log begins on 2009-12-01; of earlier orders it lacks the past that features look at."""


def placed(lines: nw.LazyFrame, *more: str) -> nw.LazyFrame:
    """Return one row per order and ``more``, when it was placed and its country, where the log holds its past."""
    some = lines.filter(~TAKES_BACK, nw.col("invoiced_at") >= LOG_HOLDS_90_DAYS)
    return some.group_by(*entities, *more).agg(nw.col("invoiced_at").min(), nw.col("country").max())


def within_30_days(found: nw.LazyFrame) -> nw.LazyFrame:
    """Return one row per order: 1 if the time ``after`` of any of its rows lies in the 30 days that follow."""
    waited = nw.col("after") <= nw.col("invoiced_at").dt.offset_by("30d")
    return (
        found.with_columns(label=nw.when((nw.col("after") > nw.col("invoiced_at")) & waited).then(1.0).otherwise(0.0))
        .group_by(*entities)
        .agg(nw.col("invoiced_at").min(), nw.col("country", "label").max())
        .with_columns(known_at=nw.col("invoiced_at").dt.offset_by("31d"))  # the last file comes a day later
    )


@late
def cancelled_within_30_days(lines: nw.LazyFrame) -> nw.LazyFrame:
    """Per order: 1 if the customer takes at least one of its articles back."""
    taken_back = lines.filter(TAKES_BACK).select("customer_id", "stock_code", after="invoiced_at")
    return within_30_days(placed(lines, "stock_code").join(taken_back, on=["customer_id", "stock_code"], how="left"))


@late
def ordered_again_within_30_days(lines: nw.LazyFrame) -> nw.LazyFrame:
    """Per order: 1 if the customer places another one."""
    every = placed(lines)
    later = every.select("customer_id", after="invoiced_at")
    return within_30_days(every.join(later, on="customer_id", how="left"))
