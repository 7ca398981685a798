"""Sample feature views for the engine kit, which every engine must compute alike on generated histories.

A float column called ``whole_...`` adds whole numbers up: it is the same bit for bit. Others may differ by 1e-9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loopline.platform_core.specs import Source, feature_view, labels, minutes, weekday

if TYPE_CHECKING:
    import narwhals as nw

SALES = Source("sales", contract="sales.yaml")


def _moments(sales: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    import narwhals as nw

    return sales.group_by("customer", "sold_at").agg(
        nw.col("quantity").sum(), nw.col("amount").sum(), nw.col("article").max(), rows=nw.len()
    )


@feature_view(SALES, entity="customer", time="sold_at")
def days(sales: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Per customer and day, stamped with its end: counts, sums, means, extremes."""
    import narwhals as nw

    quantity, amount, article = nw.col("quantity"), nw.col("amount"), nw.col("article")
    ends = nw.col("sold_at").dt.truncate("1d").dt.offset_by("1d")
    return (
        sales.with_columns(sold_at=ends, floating=quantity.cast(nw.Float64))
        .group_by("customer", "sold_at")
        .agg(
            rows=nw.len(),
            known=quantity.count(),
            units=quantity.sum(),
            whole_units=nw.col("floating").sum(),
            mean=amount.mean(),
            least=quantity.min(),
            most=amount.max(),
            articles=article.n_unique(),
            first=article.min(),
            any_paid=nw.col("paid").max(),
        )
    )


@feature_view(SALES, entity="customer", time="sold_at")
def so_far(sales: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Per customer and moment: running and rolling sums, the largest so far, what was before."""
    import narwhals as nw

    def over(column: nw.Expr) -> nw.Expr:
        return column.over("customer", order_by="sold_at")

    quantity, amount, at = nw.col("quantity"), nw.col("amount"), nw.col("sold_at")
    return _moments(sales).select(
        *("customer", "sold_at"),
        units=over(quantity.cum_sum()),
        spend=over(amount.cum_sum()),
        whole_units=over(quantity.cast(nw.Float64).cum_sum()),
        most=over(quantity.cum_max()),
        last_three=over(quantity.rolling_sum(3, min_samples=1)),
        smooth=over(amount.rolling_mean(3, min_samples=2)),
        before=over(nw.col("article").shift(1)),
        gap=minutes(at) - over(minutes(at).shift(1)),
    )


@feature_view(SALES, entity="article", time="sold_at", served="request")
def choices(sales: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Per article and moment: conditions with and without an otherwise, text, truth values, parts of dates."""
    import narwhals as nw

    quantity, at, article = nw.col("quantity"), nw.col("sold_at"), nw.col("article")
    each = sales.group_by("article", "sold_at").agg(quantity.sum(), nw.col("paid").min(), nw.col("amount").max())
    return each.select(
        *("article", "sold_at", "paid"),
        size=nw.when(quantity > 2).then(nw.lit("many")).otherwise(nw.lit("few")),
        large=nw.when(nw.col("amount") > 1).then(nw.col("amount")),
        both=(quantity > 0) & nw.col("paid"),
        loud=article.str.to_uppercase(),
        letters=article.str.len_chars(),
        is_a=article.str.starts_with("a"),
        share=quantity / (quantity * quantity + 1),
        hour=at.dt.hour(),
        day=weekday(at),
        nothing=nw.lit(None),
    )


@labels(SALES, entities=("customer", "article"), time="sold_at", label="again", known_at="known", segments=("paid",))
def sold_again(sales: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Per customer, article and moment: whether the customer buys the article again within a day."""
    import narwhals as nw

    keys, at, after = ("customer", "article"), nw.col("sold_at"), nw.col("after")
    sold = sales.filter(nw.col("quantity") > 0).group_by(*keys, "sold_at").agg(nw.col("paid").max())
    soon = (after > at) & (after <= at.dt.offset_by("1d"))
    return (
        sold.join(sold.select(*keys, after="sold_at"), on=list(keys), how="left")
        .with_columns(again=nw.when(soon).then(1).otherwise(0))
        .group_by(*keys, "sold_at")
        .agg(nw.col("paid").max(), nw.col("again").max())
        .with_columns(known=at.dt.offset_by("1d"))
    )


VIEWS = (days, so_far, choices)
