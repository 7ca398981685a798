"""Packages a fitted estimator with its profile, and publishes it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from loopline.platform_core.contracts.registry import ModelVersion, Publication
from loopline.platform_core.foundation.names import online_view
from loopline.platform_core.loop.packages import keep
from loopline.platform_core.monitor.block_profile import training_profile
from loopline.platform_core.monitor.calibration import HeldOut
from loopline.platform_core.runtime.model.manifest import FeatureField, Manifest, Parity, ViewField
from loopline.platform_core.specs import personal
from loopline.platform_core.training.package import package

if TYPE_CHECKING:
    from loopline.platform_core.training.examples import Learnable
    from loopline.platform_core.training.order import Fitted, Order

EXAMPLE_ROWS = 5


def packaged(order: Order, data: Learnable, fitted: Fitted, folder: Path) -> Manifest:
    """Write the whole package into ``folder``: manifest, artefact, drift profile, held-out scores."""
    learnt = data.x[data.parts.train]
    manifest = package(fitted.estimator, _draft(order, data), learnt, folder)
    scores = fitted.scores.copy()
    scores[data.parts.train] = np.nan  # a model is surer of rows that it has learnt from than of any live one
    training_profile(data.table, data.features, scores, order.model.drift).save(folder)
    held_out = slice(data.parts.train.stop, None)
    HeldOut.newest(fitted.scores[held_out], data.y[held_out]).save(folder)
    return manifest


def _draft(order: Order, data: Learnable) -> Manifest:
    """Say all that the server must know but how the estimator is stored."""
    team, model = order.team.name, order.model
    return Manifest(
        model=order.ref.dotted,
        kind="pickle",
        file="",
        features=[
            FeatureField(name, view.served, name in data.vocabulary, data.widths.get(name, 0))
            for view, own in order.views
            for name in own
        ],
        views=[
            ViewField(online_view(team, view), view.entity, own, view.ttl_days)
            for view, own in order.views
            if view.served == "online"
        ],
        entities=list(model.labels.entities),
        vocabulary={name: list(categories) for name, categories in data.vocabulary.items()},
        threshold=model.threshold,
        training_set=order.pinned.training_set_id,
        cycle=order.cycle,
        parity=Parity(0, 0.0, ""),
        personal=personal.entities(order.team, model),
    )


def published(
    order: Order, data: Learnable, fitted: Fitted, metrics: Mapping[str, float], folder: Path
) -> ModelVersion:
    """Put the package into the registry, with everything by which the version is found again."""
    tags = {
        "key": order.key,
        "cycle": order.cycle,
        "training_set": order.pinned.training_set_id,
        "spec_hash": order.pinned.spec_hash,
        "row_hash": order.pinned.row_hash,
    }
    if order.pinned.left_out:
        tags["left_out"] = "; ".join(map(str, order.pinned.left_out))
    registry = order.platform.registry
    repeated = any(version.tags.get("key") == order.key for version in registry.versions(order.ref.dotted))
    version = registry.publish(
        Publication(
            model=order.ref.dotted,
            package=folder,
            estimator=fitted.estimator,
            example=data.table.select(data.features).slice(0, EXAMPLE_ROWS),
            metrics=metrics,
            params={name: str(value) for name, value in fitted.search.params.items()},
            tags={**tags, "drill": json.dumps(dict(order.drill))} if order.drill else tags,
        )
    )
    if not repeated:  # else the registry holds the bytes of the first time
        keep(order.platform, order.ref, version.version, folder)
    return version
