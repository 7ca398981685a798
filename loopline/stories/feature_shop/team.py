"""Team of the feature shop: views of every value type, key, version and TTL."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from loopline.platform_core.specs import Model, Source, Team, feature_view, labels

if TYPE_CHECKING:
    import narwhals as nw

    from loopline.platform_core.specs import Estimator, Examples, Params, Report

ORDERS = Source("orders", contract="orders.v1.yaml")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
"""The shop's clock stands here."""
WEEK_DAYS = 7


@feature_view(ORDERS, entity="customer_id", time="ordered_at", ttl_days=WEEK_DAYS)
def history(orders: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Per customer: one feature of each type, good for a week."""
    return orders.select("customer_id", "ordered_at", "spend", "orders", "article", "member")


@feature_view(ORDERS, entity="customer_id", time="ordered_at", version=2)
def in_pence(orders: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Per customer: the same spend in whole pence, good for ever."""
    import narwhals as nw

    return orders.select("customer_id", "ordered_at", pence=(nw.col("spend") * 100).cast(nw.Int64))


@feature_view(ORDERS, entity="article", time="ordered_at")
def popularity(orders: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Per article, a key of text: how much it brings in and how often it is sold."""
    return orders.select("article", "ordered_at", "spend", "orders")


@feature_view(ORDERS, entity="article", time="ordered_at")
def likeness(orders: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Per article: what it is like, as a vector, told as numbers with commas between them."""
    import narwhals as nw

    return orders.select("article", "ordered_at", meaning=nw.col("likes").str.split(",").cast(nw.List(nw.Float64())))


@feature_view(ORDERS, entity="customer_id", time="ordered_at", served="request")
def parcel(orders: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Per order, brought by the request to a model: never online."""
    import narwhals as nw

    return orders.select("customer_id", "ordered_at", weight="spend", pieces=nw.col("orders"))


@labels(ORDERS, entities=("customer_id",), time="ordered_at", label="large", known_at="ordered_at")
def large_order(orders: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Per order: whether it is large."""
    import narwhals as nw

    return orders.with_columns(large=nw.when(nw.col("spend") > 10).then(1.0).otherwise(0.0))


def _never(train: Examples, valid: Examples, params: Params, report: Report) -> Estimator:
    raise NotImplementedError


history_2 = replace(in_pence, name="history")
team = Team(
    "shop",
    __file__,
    (
        Model("large", (history, parcel), large_order, fit=_never),
        Model("popular", (popularity, history_2), large_order, fit=_never),
        Model("alike", (likeness,), large_order, fit=_never),
    ),
)
