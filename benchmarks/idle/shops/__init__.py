"""A team of as many models as ``BENCH_MODELS`` says, each with a source, a view and labels of its own."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import narwhals as nw

from benchmarks.canary.shop import boosted_trees
from benchmarks.idle.spent import MODELS
from loopline.platform_core.specs import AtLeast, Model, Search, Source, Team, feature_view, labels, log_range

if TYPE_CHECKING:
    from narwhals import LazyFrame


def _visit(rows: LazyFrame) -> LazyFrame:
    """Per visitor: pages seen and minutes spent at the newest visit."""
    return rows.select("visitor_id", "seen_at", "pages", "minutes")


def _bought(rows: LazyFrame) -> LazyFrame:
    """Per visit: 1 if it ended in an order, known a day later."""
    return rows.select("visitor_id", "seen_at", label="bought", known_at=nw.col("seen_at").dt.offset_by("1d"))


def _model(number: int) -> Model:
    source = Source(f"visits_{number}", contract="contracts/visits.v1.yaml")
    view = feature_view(source, entity="visitor_id", time="seen_at", ttl_days=365)(_visit)
    known = labels(source, entities=("visitor_id",), time="seen_at", label="label", known_at="known_at")(_bought)
    return Model(
        f"orders_{number}",
        features=(replace(view, name=f"visit_{number}"),),
        labels=known,
        fit=boosted_trees,
        search=Search(trials=1, space={"learning_rate": log_range(0.05, 0.3)}),
        gates=(AtLeast("roc_auc", 0.5),),
    )


team = Team("shops", __file__, models=tuple(_model(number) for number in range(int(os.environ.get(MODELS, "1")))))
