"""What is known of a customer's last 90 days, and of the order that is being placed."""

from __future__ import annotations

import narwhals as nw
from narwhals.selectors import numeric

from loopline.specs import Source, feature_view, minutes, weekday

orders = Source("orders", contract="contracts/orders.v2.yaml", arrives="daily")
TAKES_BACK = nw.col("invoice").str.starts_with("C")
"""A line of a cancellation: it takes an article of an earlier order back."""


def pence(amount: nw.Expr) -> nw.Expr:
    """Count money in whole pence: such sums are the same on every engine and in every order of rows."""
    return (amount * 100 + 0.5).floor().cast(nw.Int64)


@feature_view(orders, entity="customer_id", time="invoiced_at", ttl_days=90, lookback_days=90)
def customer_history(lines: nw.LazyFrame) -> nw.LazyFrame:
    """Per customer and moment: orders, cancellations, spend (pounds) and rhythm of 90 days, the row's own included."""
    value, sums = pence(nw.col("quantity") * nw.col("price")), ("lines", "taken", "spend", "refund", "bought", "undone")
    moments = (
        lines.with_columns(lines=nw.when(TAKES_BACK).then(0.0).otherwise(1.0))
        .with_columns(taken=1 - nw.col("lines"), spend=value * nw.col("lines"))
        .with_columns(refund=nw.col("spend") - value, bought=nw.col("lines"), undone=nw.col("taken"))
        .group_by("customer_id", "invoiced_at")
        .agg(nw.col(*sums[:4]).sum(), nw.col(*sums[4:]).max())
    )
    at, then = nw.col("invoiced_at"), nw.col("then")
    past = (
        moments.select("customer_id", "invoiced_at")
        .join(moments.rename({"invoiced_at": "then"}), on="customer_id")
        .filter(then <= at, then > at.dt.offset_by("-90d"))
        .group_by("customer_id", "invoiced_at")
        .agg(nw.col(*sums).sum(), before=nw.when(then < at).then(then).max())
    )
    has_bought, turnover = nw.when(nw.col("bought") > 0), nw.col("spend") + nw.col("refund")
    return past.select(
        *("customer_id", "invoiced_at"),
        past_orders=nw.col("bought"),
        past_cancellations=nw.col("undone"),
        past_spend=nw.col("spend") / 100,
        cancel_rate=nw.col("undone") / (nw.col("bought") + nw.col("undone")),
        line_cancel_rate=nw.col("taken") / (nw.col("lines") + nw.col("taken")),
        refund_share=nw.when(turnover > 0).then(nw.col("refund") / turnover),
        mean_order_value=has_bought.then(nw.col("spend") / nw.col("bought") / 100),
        mean_order_lines=has_bought.then(nw.col("lines") / nw.col("bought")),
        days_between=(minutes(at) - minutes(nw.col("before"))) / 1440,
    )


@feature_view(orders, entity="invoice", time="invoiced_at", served="request")
def order_shape(lines: nw.LazyFrame) -> nw.LazyFrame:
    """Per order: its size, prices (pounds), hour (UTC), market and most valuable article."""
    quantity, price, line, pennies = (nw.col(name) for name in ("quantity", "price", "line", "pennies"))
    shape = (
        lines.filter(~TAKES_BACK)
        .with_columns(
            line=pence(quantity * price),
            pennies=pence(price),
            single=nw.when(quantity == 1).then(1.0).otherwise(0.0),
            bulk=nw.when(quantity >= 24).then(1.0).otherwise(0.0),  # noqa: PLR2004 - packs hold two dozen
        )
        .with_columns(top=nw.when(line == line.max().over("invoice")).then(nw.col("stock_code")))
        .group_by("invoice")
        .agg(
            nw.col("invoiced_at").min(),
            lines=nw.len(),
            articles=nw.col("stock_code").n_unique(),
            units=quantity.sum(),
            max_quantity=quantity.max(),
            value=line.sum() / 100,
            mean_line=line.mean() / 100,
            max_line=line.max() / 100,
            mean_price=pennies.mean() / 100,
            max_price=price.max(),
            single_share=nw.col("single").mean(),
            bulk_share=nw.col("bulk").mean(),
            market=nw.col("country").max(),
            top_article=nw.col("top").max(),
        )
        .with_columns(hour=nw.col("invoiced_at").dt.hour(), weekday=weekday(nw.col("invoiced_at")))
    )
    return shape.with_columns(numeric().cast(nw.Float64))
