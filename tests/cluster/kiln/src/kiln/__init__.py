"""A team with an image of its own: will a tile of what a kiln has fired crack when it is inspected?"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from loopline.specs import (
    AtLeast,
    Drift,
    ErrorRate,
    Estimator,
    Examples,
    Model,
    Params,
    Report,
    Requirements,
    Rollout,
    ScoreShift,
    Search,
    Source,
    Team,
    feature_view,
    labels,
)

if TYPE_CHECKING:
    from narwhals import LazyFrame

FIT_SECONDS = 3
"""As long as a training takes at least, so that something may happen meanwhile."""
firings = Source("firings", contract="contracts/firings.v1.yaml")
inspections = Source("inspections", contract="contracts/inspections.v1.yaml")


@feature_view(firings, entity="kiln", time="fired_at")
def kiln_heat(rows: LazyFrame) -> LazyFrame:
    """Per kiln and firing: the heat."""
    return rows.select("kiln", "fired_at", "heat")


@labels(inspections, entities=("kiln",), time="inspected_at", label="cracked", known_at="inspected_at")
def cracked(rows: LazyFrame) -> LazyFrame:
    """Per inspected tile: cracked or not, known at once."""
    return rows.select("kiln", "inspected_at", "cracked")


def fit(train: Examples, valid: Examples, params: Params, report: Report) -> Estimator:
    """Fit a logistic regression."""
    from sklearn.linear_model import LogisticRegression

    time.sleep(FIT_SECONDS)  # how long a training takes
    return LogisticRegression(max_iter=1000).fit(train.x, train.y)


cracks = Model(
    "cracks",
    features=(kiln_heat,),
    labels=cracked,
    fit=fit,
    search=Search(trials=1),
    gates=(AtLeast("roc_auc", 0.6),),
    rollout=Rollout(percents=(50, 100), bake_minutes=0.05, min_requests=40, judges=(ErrorRate(0.01), ScoreShift(0.3))),
    drift=Drift(min_rows=300, alarms=1, windows=1, cooldown_hours=0, daily_budget=2, blocks=False),  # once, beside ours
    compute=Requirements(cpu=0.2, memory_gb=0.8),
)
team = Team("kiln", __file__, models=(cracks,))
