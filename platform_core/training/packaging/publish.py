"""Publishes a fitted estimator: writes its whole package, and registers it, signed if wanted."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from loopline.platform_core.contracts.registry import ModelVersion, Publication
from loopline.platform_core.foundation.names import online_view
from loopline.platform_core.loop.deployments.packages import keep
from loopline.platform_core.monitor.drift import answered
from loopline.platform_core.monitor.drift.block_profile import training_profile
from loopline.platform_core.monitor.drift.watched import with_readings
from loopline.platform_core.runtime.model.manifest import (
    ApartField,
    FeatureField,
    Manifest,
    Parity,
    ViewField,
    WindowsField,
)
from loopline.platform_core.signing.signer import signer
from loopline.platform_core.signing.statement import TAG
from loopline.platform_core.specs.contracts import personal
from loopline.platform_core.specs.inputs import Tensor, form_of
from loopline.platform_core.specs.views.windows import Windows
from loopline.platform_core.training.packaging import materials
from loopline.platform_core.training.packaging.package import package
from loopline.platform_core.training.search import warm

if TYPE_CHECKING:
    from loopline.platform_core.training.examples import Learnable
    from loopline.platform_core.training.given import Encoded
    from loopline.platform_core.training.order import Fitted, Order

EXAMPLE_ROWS = 5


def packaged(order: Order, data: Learnable, fitted: Fitted, folder: Path) -> Manifest:
    """Write the whole package into ``folder``: manifest, artefact, drift profile, held-out scores, what it needs."""
    learnt = data.x[data.parts.train]
    manifest = package(fitted.estimator, _draft(order, data), learnt, folder)
    scores = order.model.target.reading(fitted.raw).copy()
    scores[data.parts.train] = np.nan  # a model is surer of rows that it has learnt from than of any live one
    table, watched = with_readings(data.table, data.features, order.model)
    said = answered.of_training(order.model.target, fitted.raw, data.parts.train)
    entities = order.model.labels.entities
    training_profile(table, watched, scores, order.model.drift, said, entities).save(folder)
    held_out = slice(data.parts.train.stop, None)
    if estimation := order.model.target.estimation:
        target = order.model.target
        kept = estimation.held_out(target, target.own(fitted.raw[held_out]), data.y[held_out])
        kept.save(folder, estimation.file)
    warm.save(folder, fitted.search.params)
    materials.save(manifest, folder)
    return manifest


def _draft(order: Order, data: Learnable) -> Manifest:
    """Say all that the server must know but how the estimator is stored."""
    team, model, target, known = order.team.name, order.model, order.model.target.to_json(), data.encoded
    return Manifest(
        model=order.ref.dotted,
        kind="python" if model.apart else "pickle",
        file="",
        features=[_field(known, name, view.served) for view, own in order.views for name in own],
        views=[
            ViewField(online_view(team, view), view.entity, own, view.ttl_days)
            for view, own in order.views
            if view.served == "online"
        ],
        entities=list(model.labels.entities),
        vocabulary={name: list(categories) for name, categories in known.vocabulary.items()},
        threshold=target.get("threshold", 0.5),  # servers of before know no other kind
        target=target,
        training_set=order.pinned.training_set_id,
        cycle=order.cycle,
        parity=Parity(0, 0.0, ""),
        personal=personal.entities(order.team, model),
        inputs=form_of(model.inputs),
        shape=list(model.inputs.shape) if isinstance(model.inputs, Tensor) else [],
        windows=[
            WindowsField(online_view(team, view), f"{team}/{view.source.name}", own, view.compute)
            for view, own in order.views
            if isinstance(view.compute, Windows)
        ],
        apart=ApartField([*model.apart.requirements], model.apart.timeout_seconds) if model.apart else ApartField(),
    )


def _field(known: Encoded, name: str, served: Literal["online", "request"]) -> FeatureField:
    width, is_category = known.widths.get(name, 0), name in known.vocabulary
    if name in known.holds:
        return FeatureField(name, served, is_category, width, known.holds[name])
    return FeatureField(name, served, is_category, width)


def published(  # noqa: PLR0913, PLR0917 - all that a version says of itself
    order: Order,
    data: Learnable,
    fitted: Fitted,
    metrics: Mapping[str, float],
    folder: Path,
    trials: Sequence[Mapping[str, Any]] = (),
) -> ModelVersion:
    """Put the package into the registry, signed if that is wanted, with everything by which it is found again."""
    tags = {
        "key": order.key,
        "cycle": order.cycle,
        "training_set": order.pinned.training_set_id,
        "spec_hash": order.pinned.spec_hash,
        "row_hash": order.pinned.row_hash,
    }
    if order.pinned.left_out:
        tags["left_out"] = "; ".join(map(str, order.pinned.left_out))
    if order.pinned.corrections:
        tags["corrections"] = f"{order.pinned.corrected_rows} rows {order.pinned.corrections}"
    registry, signs = order.platform.registry, signer(order.platform.environment)
    if signs is not None:
        tags[TAG] = signs.drafted(order.ref.dotted, order.key, folder)
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
            trials=trials if len(trials) > 1 else (),
        )
    )
    note = signs.completed(registry, version) if signs is not None else ""
    if not repeated:  # else the registry holds the bytes of the first time
        keep(order.platform, order.ref, version.version, folder, note)
    return version
