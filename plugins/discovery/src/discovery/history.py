"""What a customer has ordered so far, and the order that is about to be placed."""

from __future__ import annotations

import csv
from importlib.resources import files

import narwhals as nw

from loopline.specs import Source, feature_view, labels, minutes

with (files("discovery") / "data" / "articles.csv").open(encoding="utf-8") as file:
    ARTICLES = {line["stock_code"]: float(line["share"]) for line in csv.DictReader(file)}
"""The catalogue: what share of customers ordered each article in the log's first year, the most popular first."""
orders = Source("orders", contract="contracts/orders.v2.yaml", arrives="daily")
MONTH, MONTHS = 30 * 24 * 60, 6
MOST = 60
"""Articles of a customer's past, and of an order, that are looked at."""
AT, CODE, CUSTOMER = nw.col("invoiced_at"), nw.col("stock_code"), "customer_id"


def bought(lines: nw.LazyFrame) -> nw.LazyFrame:
    """Return the lines of orders, not those that take articles back, of the catalogue's articles."""
    return lines.filter(~nw.col("invoice").str.starts_with("C"), CODE.is_in(list(ARTICLES)))


def listed(rows: nw.LazyFrame, weight: str, *keys: str) -> nw.LazyFrame:
    """Return the articles of each of ``keys`` as one text, those of most weight first."""
    ranked = rows.with_columns(rank=-nw.col(weight)).with_columns(
        place=CODE.cum_count().over(*keys, order_by=["rank", "stock_code"])
    )
    named = [nw.when(nw.col("place") == n + 1).then(CODE).max().alias(f"_{n}") for n in range(MOST)]
    joined = nw.concat_str([f"_{n}" for n in range(MOST)], separator=",", ignore_nulls=True)
    return ranked.filter(nw.col("place") <= MOST).group_by(*keys).agg(*named).select(*keys, articles=joined)


@feature_view(orders, entity=CUSTOMER, time="invoiced_at", lookback_days=180)
def customer_articles(lines: nw.LazyFrame) -> nw.LazyFrame:
    """Per customer and order: what was ordered in six months, this order too; first what came often and lately."""
    some, then = bought(lines).select(CUSTOMER, "invoiced_at", "stock_code").unique(), nw.col("then")
    past = (
        some.select(CUSTOMER, "invoiced_at")
        .unique()
        .join(some.rename({"invoiced_at": "then"}), on=CUSTOMER)
        .filter(then <= AT, then > AT.dt.offset_by("-180d"))
        .with_columns(lately=MONTHS - (minutes(AT) - minutes(then)) // MONTH)
        .group_by(CUSTOMER, "invoiced_at", "stock_code")
        .agg(nw.col("lately").sum())
    )
    found = listed(past, "lately", CUSTOMER, "invoiced_at")
    return found.select(CUSTOMER, "invoiced_at", ordered=nw.col("articles").str.split(","))


@feature_view(orders, entity="invoice", time="invoiced_at", served="request")
def visit(lines: nw.LazyFrame) -> nw.LazyFrame:
    """Per order, before anything is in it: whether the customer is abroad."""
    abroad = nw.when(nw.col("country") == "United Kingdom").then(0.0).otherwise(1.0)
    return lines.filter(~nw.col("invoice").str.starts_with("C")).group_by("invoice").agg(AT.min(), abroad=abroad.max())


@labels(
    orders,
    entities=(CUSTOMER, "invoice"),
    time="invoiced_at",
    label="basket",
    known_at="known_at",
    segments=("country",),
)
def next_basket(lines: nw.LazyFrame) -> nw.LazyFrame:
    """Per order: the catalogue's articles in it, those of most units first; an order of others has no label."""
    keys = (CUSTOMER, "invoice")
    some = bought(lines).group_by(*keys, "stock_code").agg(nw.col("quantity").sum())
    when = lines.group_by(*keys).agg(AT.min(), nw.col("country").max())
    return (
        listed(some, "quantity", *keys)
        .join(when, on=list(keys))
        .with_columns(basket=nw.col("articles").str.split(","), known_at=AT.dt.offset_by("1d"))
    )
