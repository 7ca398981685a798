"""A small team: will a parcel be late? Heavy parcels and those to the north are, and some senders' are."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import narwhals as nw

from loopline.platform_core.specs import (
    Examples,
    Model,
    Params,
    Report,
    Requirements,
    Search,
    Source,
    Team,
    feature_view,
    int_range,
    labels,
    log_range,
)
from parcels.together import fit_together

parcels = Source("parcels", contract="contracts/parcels.v1.yaml")


@feature_view(parcels, entity="sender_id", time="sent_at", ttl_days=90)
def sender_history(rows: nw.LazyFrame) -> nw.LazyFrame:
    """Per sender and moment: weight and parcels so far."""
    moments = rows.group_by("sender_id", "sent_at").agg(sent=nw.len(), total=nw.col("weight").sum())
    return moments.with_columns(
        past_sent=nw.col("sent").cum_sum().over("sender_id", order_by="sent_at"),
        past_weight=nw.col("total").cum_sum().over("sender_id", order_by="sent_at"),
    ).drop("sent", "total")


@feature_view(parcels, entity="parcel_id", time="sent_at", served="request")
def parcel_shape(rows: nw.LazyFrame) -> nw.LazyFrame:
    """Per parcel: what it weighs and where it goes."""
    return rows.select("parcel_id", "sent_at", "weight", region="region")


@labels(
    parcels,
    entities=("sender_id", "parcel_id"),
    time="sent_at",
    label="late",
    known_at="known_at",
    segments=("region",),
)
def late_within_a_week(rows: nw.LazyFrame) -> nw.LazyFrame:
    """Per parcel: late or not, known a week after it was sent."""
    known = nw.col("sent_at") + timedelta(days=7)
    return rows.select("sender_id", "parcel_id", "sent_at", "late", "region", known_at=known)


def fit(train: Examples, valid: Examples, params: Params, report: Report) -> Any:
    """Boost for as long as the test wants, and note each call where the test looks."""
    import lightgbm

    Path(os.environ["PARCELS_CALLS"], str(time.time_ns())).touch()
    time.sleep(float(os.environ.get("PARCELS_SECONDS", "0")))  # so that a kill finds a fit that runs
    rounds = {"n_estimators": 30, "random_state": 0, "n_jobs": 1, "verbose": -1, "deterministic": True}
    trees = lightgbm.LGBMClassifier(force_row_wise=True, **rounds, **params)

    def tell(env: Any) -> None:
        if env.iteration % 10 == 9:
            report(env.iteration + 1, env.evaluation_result_list[0][2])

    given = {"eval_X": valid.x, "eval_y": valid.y, "eval_metric": "auc", "categorical_feature": train.categorical}
    return trees.fit(train.x, train.y, callbacks=[tell], **given)


late = Model(
    "late",
    features=(sender_history, parcel_shape),
    labels=late_within_a_week,
    fit=fit,
    search=Search(trials=4, space={"learning_rate": log_range(0.02, 0.3), "num_leaves": int_range(4, 16)}),
    compute=Requirements(cpu=2, memory_gb=0.5),
    threshold=0.3,
)
together = Model(
    "together",
    features=(sender_history, parcel_shape),
    labels=late_within_a_week,
    fit=fit_together,
    search=Search(trials=2, space={"learning_rate": log_range(0.02, 0.3), "num_leaves": int_range(4, 16)}),
    compute=Requirements(cpu=0.5, memory_gb=0.5, workers=2),
)
team = Team("parcels", __file__, models=(late, together))
