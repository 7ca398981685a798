"""Batch scoring of a day's rows, with training's features and the server's model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from loopline.platform_core.alarms.untrusted import alarmed
from loopline.platform_core.contracts.serving import BATCH_ROLE
from loopline.platform_core.errors import InvalidSpec, NotFound, TaskFailed
from loopline.platform_core.foundation.names import CREATED_AT, DATE, EVENT_TIME, ModelRef, raw_table, scores_table
from loopline.platform_core.ingestion.current_row_reads import key_of
from loopline.platform_core.ingestion.current_rows import holding
from loopline.platform_core.loop.deployments import packages
from loopline.platform_core.loop.deployments.deployments import deployment
from loopline.platform_core.runtime.model import manifest as manifests
from loopline.platform_core.runtime.model.models import load_model
from loopline.platform_core.runtime.model.readings import read
from loopline.platform_core.runtime.prediction_log import log_table
from loopline.platform_core.scoring.batch_features import gathered
from loopline.platform_core.specs.contracts import personal

if TYPE_CHECKING:
    import narwhals as nw
    from numpy.typing import NDArray

    from loopline.platform_core.contracts.serving import Served
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.runtime.model.manifest import Manifest
    from loopline.platform_core.scoring.batch_features import Gathered
    from loopline.platform_core.signing.trust import Proof
    from loopline.platform_core.specs import Batch, Model, Team
    from loopline.platform_core.specs.views.features import FrameFunction

MARK = "batch_row"
CHUNK = 10_000
"""Rows that are encoded at once."""


@dataclass(frozen=True)
class Scored:
    """What a call did for a day: the version, its rows in the table, and whether they were there before."""

    day: date
    version: str
    rows: int
    already: bool


def score_day(platform: Platform, team: Team, model: Model, day: date) -> Scored:
    """Score a day's rows with the version that is stable now, and write them once a day and version.

    A day that the version has scored is left as it is, also where rows came late: what was said stays said.

    Raises:
        InvalidSpec: the model declares no batch, or its rows lack an entity. NotFound: nothing is live, or a view that
        the version reads is not declared or has no rows. TaskFailed: the model raised, or gave what is no number.
    """
    batch, ref = _batch(model), ModelRef(team.name, model.name)
    served, table = _stable(platform, ref), scores_table(team.name, model.name)
    application = f"loopline.scores.{day.isoformat()}.{served.version}"
    if application in platform.lake.committed(table, [application]):
        return Scored(day, served.version, _count(platform, ref, served.version, day), already=True)
    rows = _rows(platform, team, batch, day)
    package = packages.at_hand(platform, ref, served).package
    proof = platform.proof(ref, served.version)
    with alarmed(platform, ref, served.version):
        manifest = _manifest(package, proof)
    _has_entities(model, manifest, rows)
    found = gathered(platform, team, model, manifest, rows)
    told = platform.engine.score(package, found.features, partial(scores, proof=proof))
    answered = _answered(platform, served, manifest, found, told, day)
    platform.lake.append(table, answered, {application: 1})
    return Scored(day, served.version, len(answered), already=False)


def _batch(model: Model) -> Batch:
    if model.batch is None:
        raise InvalidSpec(f"model {model.name!r} declares no batch", "give it batch=Batch(rows=..., start=...)")
    return model.batch


def _stable(platform: Platform, ref: ModelRef) -> Served:
    current = deployment(platform.ledger, ref)
    if current is None or current.stable is None:
        raise NotFound(f"no version of {ref} is live", "promote one first: a batch is scored by the stable version")
    return current.stable


def _rows(platform: Platform, team: Team, batch: Batch, day: date) -> pa.Table:
    """Compute the day's rows from the raw rows that are there, in a fixed order."""
    table = raw_table(team.name, batch.rows.source.name)
    raw = platform.lake.read(table)
    raw = holding(raw, key_of(team, batch.rows.source), platform.clock.now())
    view = replace(batch.rows, compute=partial(_marked, batch.rows.compute))
    rows = platform.engine.compute_view(view, raw.drop_columns([DATE])).drop_columns([CREATED_AT, MARK])
    first = datetime(day.year, day.month, day.day, tzinfo=UTC)
    ends = [pa.scalar(instant, rows.schema.field(EVENT_TIME).type) for instant in (first, first + timedelta(days=1))]
    own = rows.filter(pc.and_(pc.greater_equal(rows[EVENT_TIME], ends[0]), pc.less(rows[EVENT_TIME], ends[1])))
    return own.sort_by([(EVENT_TIME, "ascending"), (batch.rows.entity, "ascending")]).combine_chunks()


def _marked(compute: FrameFunction, raw: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Add a column: an engine knows no view without a feature, and rows to be scored need none."""
    import narwhals as nw

    return compute(raw).with_columns(nw.lit(1).cast(nw.Int64).alias(MARK))


def _has_entities(model: Model, manifest: Manifest, rows: pa.Table) -> None:
    missing = sorted(set(manifest.entities) - set(rows.column_names))
    if missing:
        raise InvalidSpec(
            f"the batch of model {model.name!r} gives rows without {', '.join(missing)}",
            "let its view return every entity of the model, the first as its entity and the others as columns",
        )


def _answered(  # noqa: PLR0913, PLR0917 - what a row of the log says
    platform: Platform, served: Served, manifest: Manifest, found: Gathered, told: Sequence[float], day: date
) -> pa.Table:
    """Put what the log holds of a request beside each row."""
    count, now = len(found.rows), platform.clock.now()
    readings, raw = _readings(manifest, np.asarray(told, dtype=np.float64))
    columns: Mapping[str, Any] = {
        "request_id": [f"{BATCH_ROLE}-{day.isoformat()}-{served.version}"] * count,
        "row": range(count),
        "event_time": found.rows[EVENT_TIME],
        "logged_at": [now] * count,
        "version": [served.version] * count,
        "cycle": [served.cycle] * count,
        "role": [BATCH_ROLE] * count,
        "status": [200] * count,
        "latency_ms": [None] * count,
        "score": readings,
        "keys": _as_json(personal.hidden(found.rows.select(manifest.entities), manifest.personal)),
        "features": _as_json(found.features),
        "missing": found.missing,
        "stale": found.stale,
        "beside_ms": [None] * count,
        "asked_at": [now] * count,
        "raw": raw or [None] * count,
        "image": [None] * count,
    }
    wanted = log_table.schema()
    rows = pa.table([_column(columns[field.name], field.type) for field in wanted], schema=wanted)
    return rows.append_column(DATE, rows[EVENT_TIME].cast(pa.date32()))


def _readings(manifest: Manifest, told: NDArray[np.float64]) -> tuple[list[float], list[list[float]] | None]:
    """Return each row's reading, and its numbers where it has more than one; ``told`` are all numbers, row after row.

    Raises:
        TaskFailed: one is none.
    """
    target = manifest.read_target()
    readings, problem, raw = read(target, told if target.width == 1 else told.reshape(-1, target.width))
    if readings is None:
        raise TaskFailed(f"{manifest.model}: {problem}", "roll it back, or mend it")
    return readings, raw


def _manifest(package: Path, proof: Proof | None) -> Manifest:
    if proof is None:
        return manifests.load(package)
    proven = proof.opened(package)
    try:
        return manifests.load(proven)
    finally:
        proven.release()


def scores(package: Path, features: pa.Table, proof: Proof | None = None) -> list[float]:
    """Score features (columns by their names) with a package: the numbers of each row, row after row in their order.

    Raises:
        TaskFailed: the model raised. Others: as ``load_model``.
    """
    loaded = load_model(package, proof)
    names = [field.name for field in loaded.manifest.features]
    encoder, found = loaded.manifest.encoder(), list[float]()
    for start in range(0, len(features), CHUNK):
        part = features.slice(start, CHUNK)
        matrix = encoder.matrix({name: part[name].to_pylist() for name in names})
        try:
            found += loaded.predict(matrix).ravel().tolist()
        except Exception as error:  # a model may raise anything
            raise TaskFailed(
                f"{loaded.manifest.model} failed on a batch: {error}", "roll it back, or mend it"
            ) from error
    return found


def _as_json(rows: pa.Table) -> list[str]:
    return [orjson.dumps(row).decode() for row in rows.to_pylist()]


def _column(values: Sequence[Any] | pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray | pa.Array:
    return values.cast(kind) if isinstance(values, pa.ChunkedArray) else pa.array(values, kind)


def _count(platform: Platform, ref: ModelRef, version: str, day: date) -> int:
    rows = platform.lake.read(scores_table(*ref), columns=["version"], since=day, until=day)
    return int(pc.sum(pc.equal(rows["version"], version)).as_py() or 0)
