"""A small team, as the benchmark installs it: will this visit end in an order?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import narwhals as nw

from loopline.platform_core.specs import (
    AtLeast,
    BeatsChampion,
    Drift,
    Estimator,
    Examples,
    Model,
    Params,
    Report,
    Rollout,
    Search,
    Source,
    Team,
    feature_view,
    labels,
    log_range,
)

if TYPE_CHECKING:
    from narwhals import LazyFrame

visits = Source("visits", contract="contracts/visits.v1.yaml")


@feature_view(visits, entity="visitor_id", time="seen_at", served="request")
def visit(rows: LazyFrame) -> LazyFrame:
    """Per visit: pages seen and minutes spent, as the page itself knows them when it asks."""
    return rows.select("visitor_id", "seen_at", "pages", "minutes")


@labels(visits, entities=("visitor_id",), time="seen_at", label="label", known_at="known_at")
def bought(rows: LazyFrame) -> LazyFrame:
    """Per visit: 1 if it ended in an order, known a day later."""
    return rows.select("visitor_id", "seen_at", label="bought", known_at=nw.col("seen_at").dt.offset_by("1d"))


def boosted_trees(train: Examples, valid: Examples, params: Params, report: Report) -> Estimator:
    """Fit a few boosted trees."""
    from lightgbm import LGBMClassifier

    model = LGBMClassifier(n_estimators=30, n_jobs=1, random_state=7, verbosity=-1, **params)
    model.fit(train.x, train.y, eval_set=[(valid.x, valid.y)], eval_metric="auc")
    report(1, float(model.best_score_["valid_0"]["auc"]))
    return model


orders = Model(
    "orders",
    features=(visit,),
    labels=bought,
    fit=boosted_trees,
    search=Search(trials=2, space={"learning_rate": log_range(0.05, 0.3)}),
    gates=(AtLeast("roc_auc", 0.55), BeatsChampion("roc_auc", tolerance=0.05)),
    # so long a bake, and so large a window, that nothing moves but what is measured
    rollout=Rollout(percents=(50, 100), bake_minutes=600),
    drift=Drift(min_rows=1_000_000, cooldown_hours=0, daily_budget=1000),
)

team = Team("shop", __file__, models=(orders,))
