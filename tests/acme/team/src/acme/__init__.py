"""A team from outside: which presses will stop within a day."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import narwhals as nw

from loopline.specs import (
    AtLeast,
    ErrorRate,
    Estimator,
    Evidence,
    Examples,
    Gate,
    Model,
    Params,
    Reading,
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

readings = Source("readings", contract="contracts/readings.v1.yaml", arrives="hourly")


@feature_view(readings, entity="press", time="measured_at", ttl_days=2)
def press_state(rows: LazyFrame) -> LazyFrame:
    """Per press and reading: heat now, and the mean so far."""
    return rows.select(
        "press",
        "measured_at",
        "heat",
        heat_so_far=nw.col("heat").cum_sum().over("press", order_by="measured_at")
        / nw.col("heat").cum_count().over("press", order_by="measured_at"),
    )


@labels(readings, entities=("press",), time="measured_at", label="stopped", known_at="measured_at")
def stopped(rows: LazyFrame) -> LazyFrame:
    """Per reading: whether the press stopped; known at once."""
    return rows.select("press", "measured_at", "stopped")


def fit(train: Examples, valid: Examples, params: Params, report: Report) -> Estimator:
    """Fit a scikit-learn pipeline."""
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression(C=float(params["strength"])))
    model.fit(train.x, train.y)
    report(1, float(roc_auc_score(valid.y, model.predict_proba(valid.x)[:, 1])))
    return model


@dataclass(frozen=True)
class Calibrated(Gate):
    """A gate of the team's own: the Brier score stays below the bound."""

    bound: float = 0.25
    version: int = 1

    def judge(self, evidence: Evidence) -> Reading:
        """Compare the metric with the bound from above."""
        value = evidence.metrics[self.metric]
        return Reading(value, self.bound, passed=value <= self.bound)


stops = Model(
    "stops",
    features=(press_state,),
    labels=stopped,
    fit=fit,
    search=Search(trials=2, space={"strength": log_range(0.1, 10)}),
    gates=(AtLeast("roc_auc", 0.6), Calibrated("brier")),
    rollout=Rollout(percents=(50, 100), bake_minutes=5, min_requests=20, judges=(ErrorRate(0.01),)),
)

team = Team("acme", Path(__file__), models=(stops,))
