"""A small team, installed for the tests of the command line: which sales come back."""

from __future__ import annotations

import narwhals as nw

from loopline.specs import (
    AtLeast,
    Drift,
    ErrorRate,
    FairAcross,
    Model,
    Rollout,
    Source,
    Team,
    feature_view,
    labels,
)

sales = Source("sales", contract="contracts/sales.v1.yaml")


@feature_view(sales, entity="customer_id", time="sold_at", ttl_days=30)
def customer_sales(lines: nw.LazyFrame) -> nw.LazyFrame:
    """Per customer and sale: what was paid, and where."""
    return lines.select("customer_id", "sold_at", "amount", "country")


@labels(sales, entities=("customer_id",), time="sold_at", label="returned", known_at="sold_at", segments=("country",))
def returned(lines: nw.LazyFrame) -> nw.LazyFrame:
    """Per sale: did it come back; known at once."""
    return lines.select("customer_id", "sold_at", "returned", "country")


def fit(train, valid, params, report):
    """Fit nothing."""
    raise NotImplementedError


returns = Model(
    "returns",
    features=(customer_sales,),
    labels=returned,
    fit=fit,
    gates=(AtLeast("roc_auc", 0.65), FairAcross("recall", "country")),
    rollout=Rollout(percents=(50, 100), judges=(ErrorRate(0.01),)),
    drift=Drift(min_rows=300),
)

team = Team("corner", __file__, models=(returns,))
