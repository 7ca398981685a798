"""Explanations of a day's predictions: each column's contribution, stored in the lake beside them.

What is explained are the features as they were served, which the prediction log holds, by the version that answered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from loopline.platform_core.contracts.serving import SHADOW_ROLE
from loopline.platform_core.errors import InvalidSpec, Unsupported
from loopline.platform_core.foundation.names import (
    DATE,
    EVENT_TIME,
    ModelRef,
    explanations_table,
    prediction_table,
    scores_table,
)
from loopline.platform_core.loop.deployments.packages import fetched
from loopline.platform_core.runtime.model.explaining import shares as shares_of
from loopline.platform_core.runtime.model.models import load_model

if TYPE_CHECKING:
    from loopline.platform_core.metrics.metric import Floats
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.runtime.model.explaining import Explainer
    from loopline.platform_core.runtime.model.models import LoadedModel
    from loopline.platform_core.specs import Model, Team

CHUNK = 2_000
"""Rows that are explained at once."""
ANSWERED = 200
SCHEMA = pa.schema(
    [
        ("request_id", pa.string()),
        ("row", pa.int64()),
        (EVENT_TIME, pa.timestamp("us", "UTC")),
        ("version", pa.string()),
        ("role", pa.string()),
        ("keys", pa.string()),
        ("score", pa.float64()),
        ("base", pa.float64()),
        ("contributions", pa.string()),
        (DATE, pa.date32()),
    ]
)
"""``contributions`` is JSON, a number by column; with ``base`` they add up to what the model says before its link."""


@dataclass(frozen=True)
class Explained:
    """What a call did for a day: its rows, and by version the share by which each column moved them."""

    day: date
    rows: int
    already: bool
    shares: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


def explain_day(platform: Platform, team: Team, model: Model, day: date) -> Explained:
    """Explain a day's answered rows once; what was explained stays, also where rows came late.

    Raises:
        InvalidSpec: the model asks for no explanations. Unsupported: a version that answered has a form without.
    """
    if model.explain is None:
        raise InvalidSpec(f"model {model.name!r} declares no explanations", "give it explain=Explain(start=...)")
    ref = ModelRef(team.name, model.name)
    table, application = explanations_table(*ref), f"loopline.explanations.{day.isoformat()}"
    if application in platform.lake.committed(table, [application]):
        return Explained(day, platform.lake.read(table, columns=["row"], since=day, until=day).num_rows, already=True)
    rows = _spread(_answered(platform, ref, day), model.explain.most_rows)
    parts, shares = [SCHEMA.empty_table()], {}
    for version in sorted(set(rows["version"].to_pylist())):
        loaded = load_model(fetched(platform, ref, version), platform.proof(ref, version))
        own, moved = rows.filter(pc.equal(rows["version"], version)), []
        explainer = _explainer(loaded, version)
        for part, contributions in _explained(loaded, explainer, own):
            parts.append(part)
            moved.append(np.abs(contributions).sum(axis=0))
        shares[version] = shares_of(explainer.columns, np.sum(moved, axis=0))
    found = pa.concat_tables(parts)
    platform.lake.append(table, found, {application: 1})
    return Explained(day, found.num_rows, already=False, shares=shares)


def _answered(platform: Platform, ref: ModelRef, day: date) -> pa.Table:
    """Read what requests and batches were answered; nobody was answered by a shadow."""
    wanted = [*(name for name in SCHEMA.names if name not in {"base", "contributions"}), "status", "features"]
    tables = [one for one in (prediction_table(*ref), scores_table(*ref)) if platform.lake.version(one) is not None]
    if not tables:
        return pa.table({name: pa.nulls(0, pa.string()) for name in wanted})
    read = [platform.lake.read(one, columns=wanted, since=day, until=day).select(wanted) for one in tables]
    rows = pa.concat_tables(read, promote_options="permissive")
    return rows.filter(pc.and_(pc.equal(rows["status"], ANSWERED), pc.not_equal(rows["role"], SHADOW_ROLE)))


def _spread(rows: pa.Table, most: int) -> pa.Table:
    ordered = rows.sort_by([(EVENT_TIME, "ascending"), ("request_id", "ascending"), ("row", "ascending")])
    if len(ordered) <= most:
        return ordered
    return ordered.take(np.linspace(0, len(ordered) - 1, most).astype(np.int64))


def _explainer(loaded: LoadedModel, version: str) -> Explainer:
    explainer = loaded.explainer
    if explainer is None or explainer.trouble:
        why = explainer.trouble if explainer else "it has no explainer"
        raise Unsupported(
            f"version {version} of {loaded.manifest.model} answered, and cannot be explained: {why}",
            "leave explain= out of the model, or let 'fit' return trees of LightGBM or a linear model",
        )
    return explainer


def _explained(loaded: LoadedModel, explainer: Explainer, rows: pa.Table) -> Iterator[tuple[pa.Table, Floats]]:
    """Yield a version's rows as they are kept, so many at once, and what each column contributed (rows, columns)."""
    encoder, names = loaded.manifest.encoder(), [one.name for one in loaded.manifest.features]
    for start in range(0, len(rows), CHUNK):
        part = rows.slice(start, CHUNK)
        served = [orjson.loads(text) for text in part["features"].to_pylist()]
        matrix = encoder.matrix({name: [row.get(name) for row in served] for name in names})
        found = explainer.explain(matrix, loaded.predict(matrix))
        told = [
            orjson.dumps(dict(zip(explainer.columns, each, strict=True))).decode()
            for each in found.contributions.tolist()
        ]
        beside: dict[str, Any] = {"base": found.base, "contributions": told}
        columns = [pa.array(beside[name]) if name in beside else part[name] for name in SCHEMA.names]
        yield pa.table(columns, names=SCHEMA.names).cast(SCHEMA), found.contributions
