"""The same trees, grown by several workers at once: LightGBM's own protocol over sockets, each with its own rows."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

from loopline.platform_core.specs import Examples, Gang, Params, Report


def fit_together(train: Examples, valid: Examples, params: Params, report: Report) -> Any:
    """Boost on this worker's share of the rows; every worker ends with the same trees, and leaves them for the test."""
    import lightgbm

    gang = Gang.here()
    joined(gang)
    own = slice(gang.rank, None, gang.size)
    shared = {"tree_learner": "data", "num_machines": gang.size, "pre_partition": True}
    rounds = {"n_estimators": 30, "random_state": 0, "n_jobs": 1, "verbose": -1}
    trees = lightgbm.LGBMClassifier(**rounds, **shared, **params)
    trees.fit(train.x[own], train.y[own], categorical_feature=train.categorical)
    report(30, float(trees.score(valid.x, valid.y)))
    left = Path(os.environ["PARCELS_CALLS"]).parent / f"trees-{gang.rank}-of-{gang.size}.txt"
    left.write_text(trees.booster_.model_to_string().partition("parameters:")[0])
    return trees


@cache
def joined(gang: Gang) -> Any:
    """Connect with the others, in this thread, once: a port that LightGBM has let go cannot be bound for a minute."""
    import lightgbm
    import numpy as np

    _, _, port = gang.addresses[gang.rank].rpartition(":")
    network = {"machines": ",".join(gang.addresses), "num_machines": gang.size, "local_listen_port": int(port)}
    first = lightgbm.Dataset(np.arange(100.0).reshape(-1, 1), np.arange(100) % 2)
    return lightgbm.Booster({"tree_learner": "data", "verbose": -1, "time_out": 2, **network}, first)
