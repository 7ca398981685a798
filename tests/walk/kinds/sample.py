"""What a kind of models adds to be walked through the loop: labels of the orders, a fit, what is to come of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import narwhals as nw
import numpy as np

from loopline.platform_core.specs import Fairness, Gate, Judge, RealisedQuality, Source, Target, feature_view, labels

ORDERS = Source("orders", contract="orders.yaml")
COLUMNS = {
    "customer": "integer", "ordered_at": "timestamp", "amount": "number", "weight": "number", "luck": "number",
    "article": "string", "tags": "string",
}  # fmt: skip
"""Of a raw row: nobody is told the ``luck`` before the label comes; ``tags`` are parted by commas."""
ARTICLES = ("bag", "lamp", "toy")


@feature_view(ORDERS, entity="customer", time="ordered_at", lookback_days=0)
def latest(orders: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Per customer and moment: the weight of what was ordered; found online, an order later."""
    return orders.select("customer", "ordered_at", last_weight="weight")


@feature_view(ORDERS, entity="customer", time="ordered_at", served="request")
def order(orders: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Per order: how large it is, and what is ordered."""
    return orders.select("customer", "ordered_at", size="amount", article="article")


@dataclass(frozen=True)
class KindSample:
    """A kind with settings, and what its models are of.

    ``label`` makes labels of the raw rows; ``fit`` is what a team would write. ``drill`` multiplies features of the
    training rows of the bad candidate, and ``judge`` takes it back, once ``judged_after`` orders were asked about; a
    good one is let on after ``baked_after``. ``estimated`` are metrics that are told before labels come; none:
    ``Target.not_estimated`` says why. ``at_the_edge`` says whether a device's script can answer.
    """

    target: Target
    label: Callable[[], nw.Expr]
    fit: Any
    gate: Gate
    estimated: frozenset[str]
    judge: Judge = field(default_factory=lambda: RealisedQuality(0.05, min_labels=60))
    baked_after: int = 50
    judged_after: int = 120
    drill: Mapping[str, float] = field(default_factory=lambda: {"size": -1.0})
    fairness: tuple[Fairness, ...] = ()
    at_the_edge: bool = False

    @property
    def labels(self) -> Any:
        """Declare the labels: known two hours after the order."""

        def compute(orders: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
            return orders.with_columns(truth=self.label(), later=nw.col("ordered_at").dt.offset_by("2h"))

        declare = labels(
            ORDERS, entities=("customer",), time="ordered_at", label="truth", known_at="later", segments=("article",)
        )
        return declare(compute)


def raw_row(n: int, *, shifted: bool) -> dict[str, Any]:
    """Make the order of hour ``n``: dear ones are toys, cheap ones bags; when the world has shifted all are dearer."""
    random = np.random.default_rng(n)
    amount = float(random.gamma(4, 2) * (1.5 if shifted else 1.0))
    tags = [name for name, limit in (("dear", 9), ("large", 6)) if amount + random.normal() > limit]
    return {
        "customer": n % 23,
        "amount": round(amount, 3),
        "weight": round(float(random.gamma(2, 1)), 3),
        "luck": round(float(random.normal()), 3),
        "article": ARTICLES[int(np.digitize(amount + random.normal(), [5, 9]))],
        "tags": ",".join(tags or ["plain"]),
    }
