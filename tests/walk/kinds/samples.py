"""The kinds that are walked; ``SAMPLES`` is where another one adds itself."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np

from loopline import specs
from loopline.graphs import Graph, Mean, Predict
from loopline.platform_core.specs import (
    AtLeast,
    AtMost,
    Binary,
    Count,
    Fairness,
    Forecast,
    Multiclass,
    Multilabel,
    Ranking,
    Regression,
    ScoreShift,
    vector,
)
from tests.walk.kinds.sample import ARTICLES, KindSample

STEPS, TAGS = 2, ("plain", "large", "dear", "new", "old", "rare")
ACME = Path(__file__).parents[2] / "acme/team/src"


def trees(kind: str, **more: Any) -> Any:
    """Return a fit of LightGBM's."""

    def fit(train: Any, valid: Any, params: Any, report: Any) -> Any:
        import lightgbm

        boosted = getattr(lightgbm, kind)(n_estimators=10, n_jobs=1, verbose=-1, **more)
        return boosted.fit(train.x, train.y, categorical_feature=train.categorical)

    return fit


class Lines:
    """Straight lines through numbers that are missing nowhere: no library's own, so that it is served pickled."""

    def __init__(self, x: Any, y: Any) -> None:
        self.slopes = np.linalg.lstsq(_with_ones(x), y, rcond=None)[0]

    def predict(self, x: Any) -> Any:
        """Return a column for each of the labels."""
        return _with_ones(x) @ self.slopes


class EachClass(Lines):
    """A line for each class by itself."""

    def predict_proba(self, x: Any) -> Any:
        """Return the chances of all classes."""
        return 1 / (1 + np.exp(4 - 8 * self.predict(x)))


class FarOut:
    """Tells how far from the middle a row is, without labels."""

    def __init__(self, x: Any) -> None:
        self.middle, self.spread = np.nanmedian(x, axis=0), np.nanstd(x, axis=0) + 1e-9

    def decision_function(self, x: Any) -> Any:
        """Return what falls for odd rows."""
        return -np.nansum(np.abs(x - self.middle) / self.spread, axis=1)


def _with_ones(x: Any) -> Any:
    return np.column_stack([np.nan_to_num(x), np.ones(len(x))])


def each_class(train: Any, valid: Any, params: Any, report: Any) -> EachClass:
    """Fit."""
    return EachClass(train.x, train.y)


def far_out(train: Any, valid: Any, params: Any, report: Any) -> FarOut:
    """Fit."""
    return FarOut(train.x)


def binary() -> KindSample:
    """Orders that turn out to be large."""
    return KindSample(
        Binary(threshold=0.4), lambda: (nw.col("amount") + nw.col("luck") > 8).cast(nw.Float64),
        trees("LGBMClassifier"),
        AtLeast("roc_auc", 0.7), frozenset({"roc_auc", "recall", "log_loss"}),
        fairness=(Fairness("article", "positive_rate", within=0.2, min_rows=5),), at_the_edge=True,
    )  # fmt: skip


def multiclass() -> KindSample:
    """What becomes of an order: an article, but for luck."""
    dear = nw.col("amount") + nw.col("luck")
    cheap = nw.when(dear > 5).then(nw.lit("lamp")).otherwise(nw.lit("bag"))
    return KindSample(
        Multiclass(ARTICLES),
        lambda: nw.when(dear > 9).then(nw.lit("toy")).otherwise(cheap),
        trees("LGBMClassifier"), AtLeast("macro_f1", 0.4), frozenset({"log_loss", "macro_f1", "balanced_accuracy"}),
        fairness=(Fairness("article", within=0.2, min_rows=5),),
    )  # fmt: skip


def multilabel() -> KindSample:
    """Which tags an order gets."""
    return KindSample(
        Multilabel(("plain", "large", "dear")), lambda: nw.col("tags").str.split(","), each_class,
        AtLeast("jaccard", 0.5), frozenset({"log_loss", "micro_f1", "jaccard"}),
        fairness=(Fairness("article", "jaccard", within=0.3, min_rows=5),),
    )  # fmt: skip


def regression() -> KindSample:
    """What an order brings."""
    return KindSample(
        Regression("GBP", largest_error=60.0), lambda: 3 * nw.col("amount") + 5 * nw.col("luck"),
        trees("LGBMRegressor"),
        AtLeast("r2", 0.4), frozenset({"mae", "rmse"}),
        fairness=(Fairness("article", within=3.0, min_rows=5),), at_the_edge=True,
    )  # fmt: skip


def count() -> KindSample:
    """How many pieces an order has."""
    return KindSample(
        Count("pieces", largest_error=30.0),
        lambda: (nw.col("amount") + nw.col("luck")).clip(0, 1000).round(), trees("LGBMRegressor", objective="poisson"),
        AtMost("mae", 4.0), frozenset({"mae", "poisson_deviance"}),
        fairness=(Fairness("article", within=2.0, min_rows=5),),
    )  # fmt: skip


class EachStep(Lines):
    """A line for each step, whose quantiles lie a share below and above."""

    def predict(self, x: Any) -> Any:
        """Return three quantiles of each step, one step after another."""
        return np.repeat(super().predict(x), 3, axis=1) * np.tile([0.8, 1.0, 1.2], STEPS)


def each_tag(train: Any, valid: Any, params: Any, report: Any) -> Lines:
    """Fit a score of each tag; labels are the tags' places."""
    return Lines(train.x, np.column_stack([(train.y == place).any(axis=1) for place in range(len(TAGS))]))


def each_step(train: Any, valid: Any, params: Any, report: Any) -> EachStep:
    """Fit what comes on each step; labels hold the past beside it."""
    return EachStep(train.x, train.y[:, :STEPS])


def forecast() -> KindSample:
    """What the next two hours bring, by an order: its amount, but for luck, and what was before."""
    came = nw.col("amount") + nw.col("luck"), nw.col("amount") + nw.col("luck") / 2
    return KindSample(
        Forecast(horizon=STEPS, season=1, history=2, unit="GBP", step_days=1 / 24),
        lambda: vector(*came, nw.col("amount"), nw.col("amount"), nw.lit(1.0)), each_step,
        AtMost("wape", 0.6), frozenset({"wape"}), fairness=(Fairness("article", "mase", within=2.0, min_rows=5),),
    )  # fmt: skip


def ranking() -> KindSample:
    """Which tags an order gets, the best two of six first."""
    return KindSample(
        Ranking(TAGS, k=2, most=3), lambda: nw.col("tags").str.split(","), each_tag, AtLeast("recall_at_k", 0.3),
        frozenset(), fairness=(Fairness("article", "recall_at_k", within=0.5, min_rows=5),),
    )  # fmt: skip


def graph() -> KindSample:
    """What an order brings, by the mean of two models."""

    def fit(train: Any, valid: Any, params: Any, report: Any) -> Any:
        made = trees("LGBMRegressor")(train, valid, params, report)
        return Graph.of(train, Predict("own", made), Predict("other", made), Mean("both", ("own", "other")))

    one = regression()
    return replace(one, target=specs.Graph(of=one.target, steps={"own": 1, "other": 1}), fit=fit, at_the_edge=False)


def anomaly() -> KindSample:
    """Orders that are odd: a kind that stands in another distribution."""
    if str(ACME) not in sys.path:
        sys.path.append(str(ACME))
    from acme.anomaly import Anomaly

    odd = (nw.col("amount") + nw.col("luck") > 16).cast(nw.Float64)
    return KindSample(
        Anomaly(share=0.05), lambda: odd, far_out, AtLeast("average_precision", 0.05), frozenset(),
        judge=ScoreShift(1.0), baked_after=110, judged_after=230,
    )  # fmt: skip


SAMPLES: dict[str, Callable[[], KindSample]] = {
    "binary": binary,
    "multiclass": multiclass,
    "multilabel": multilabel,
    "regression": regression,
    "count": count,
    "forecast": forecast,
    "ranking": ranking,
    "graph": graph,
    "anomaly": anomaly,
}
