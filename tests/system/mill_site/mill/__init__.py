"""A small team whose training waits for as long as a test wants to: will a wheel jam?"""

from __future__ import annotations

import os
import time
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import narwhals as nw

from loopline.platform_core.specs import (
    AtLeast,
    Batch,
    Drift,
    Estimator,
    Examples,
    Model,
    Params,
    Report,
    Requirements,
    Rollout,
    Search,
    Source,
    Team,
    feature_view,
    labels,
)

if TYPE_CHECKING:
    from narwhals import LazyFrame

loads = Source("loads", contract="contracts/loads.v1.yaml")


@feature_view(loads, entity="wheel", time="ground_at")
def wheel_weight(rows: LazyFrame) -> LazyFrame:
    """Per wheel and load: the weight now, and the heaviest so far."""
    _wait_while_slow()
    heaviest = nw.col("weight").cum_max().over("wheel", order_by="ground_at")
    return rows.select("wheel", "ground_at", "weight", heaviest=heaviest)


def _wait_while_slow() -> None:
    """Leave a mark with the process that makes features, and go on when ``slow_view`` is gone."""
    home = Path(os.environ.get("LOOPLINE_HOME", "."))
    give_up = time.monotonic() + 60
    while (home / "slow_view").exists() and time.monotonic() < give_up:
        draft = home / f".making-{os.getpid()}"
        draft.write_text(str(os.getpid()))
        draft.rename(home / "making")
        time.sleep(0.05)  # between two looks for the mark


@feature_view(loads, entity="wheel", time="ground_at", served="request")
def each_load(rows: LazyFrame) -> LazyFrame:
    """Per load: the row that is scored in its day's batch."""
    return rows.select("wheel", "ground_at")


@labels(loads, entities=("wheel",), time="ground_at", label="jammed", known_at="ground_at")
def jammed(rows: LazyFrame) -> LazyFrame:
    """Per load: jammed or not, known at once."""
    return rows.select("wheel", "ground_at", "jammed")


def fit(train: Examples, valid: Examples, params: Params, report: Report) -> Estimator:
    """Leave a mark with the process that trains and the one that waits for it, and fit when ``slow`` is gone."""
    from sklearn.linear_model import LogisticRegression

    home = Path(os.environ["LOOPLINE_HOME"])
    marks = home / "fits"
    marks.mkdir(exist_ok=True)
    draft = marks / f".{time.time_ns()}"
    draft.write_text(f"{os.getpid()} {os.getppid()}")
    draft.rename(marks / draft.name[1:])
    give_up = time.monotonic() + 60
    while (home / "slow").exists() and time.monotonic() < give_up:
        time.sleep(0.05)  # between two looks for the mark
    return LogisticRegression().fit(train.x, train.y)


jams = Model(
    "jams",
    features=(wheel_weight,),
    labels=jammed,
    fit=fit,
    search=Search(trials=1),
    gates=(AtLeast("roc_auc", 0.6),),
    rollout=Rollout(percents=()),
    drift=Drift(min_rows=1_000_000),  # what the tests ask is not to be judged
    batch=Batch(rows=each_load, start=date(2024, 5, 1)),
    compute=Requirements(cpu=1, memory_gb=0.5),
)
team = Team("mill", __file__, models=(jams,))
