"""What Dagster keeps under the asset keys of before, ``[team, stage, name]``, is told again under today's.

The newest materializations of each asset get their old time, their run and their figures; then the old key leaves the
catalog. Whoever is killed meanwhile goes on where it was.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from loopline.asset_defs.dagster_private import report_past
from loopline.asset_defs.figures import figures
from loopline.platform_core.foundation.names import STAGES, AssetName

RECORDED_AS = "loopline/recorded_as"
"""Tag of a materialization that was told again: the storage id under which it was recorded first."""
NEWEST_MATERIALIZATIONS = 200
"""Materializations of an asset that are told again; enough for every version of a model, and for its plots."""
FIGURES = {"metrics": "", "champion_metrics": "champion_", "scores": "score/", "thresholds": "threshold/"}
"""Entries that were one JSON, and how each of their figures is called now."""


def carry_over(instance: dg.DagsterInstance) -> int:
    """Tell again what is recorded under old keys; return of how many assets. Without old keys it costs one query."""
    olds = [(key, asset) for key in instance.get_asset_keys() if (asset := _old(key))]
    for key, asset in olds:
        now = dg.AssetKey(asset.path)
        for record in _missing(instance, key, now):
            report_past(instance, record, _today(record, now))
        instance.wipe_assets([key])
    return len(olds)


def _old(key: dg.AssetKey) -> AssetName | None:
    return AssetName(*key.path) if len(key.path) == 3 and key.path[1] in STAGES else None  # noqa: PLR2004


def _missing(instance: dg.DagsterInstance, key: dg.AssetKey, now: dg.AssetKey) -> Sequence[dg.EventLogRecord]:
    """Return what is not told again yet, oldest first."""
    newest = instance.fetch_materializations(key, limit=NEWEST_MATERIALIZATIONS).records
    told = {
        _tags(record).get(RECORDED_AS)
        for record in instance.fetch_materializations(now, limit=NEWEST_MATERIALIZATIONS).records
    }
    return [record for record in reversed(newest) if str(record.storage_id) not in told]


def _tags(record: dg.EventLogRecord) -> Mapping[str, str]:
    made = record.asset_materialization
    return (made.tags if made else None) or {}


def _today(record: dg.EventLogRecord, key: dg.AssetKey) -> dg.AssetMaterialization:
    """Write a materialization as it would be written today."""
    made = record.asset_materialization
    assert made is not None
    metadata = {label: value for name, one in made.metadata.items() for label, value in _figures(name, one)}
    return dg.AssetMaterialization(
        key,
        made.description,
        metadata,
        made.partition,
        {**_provenance(made.tags or {}), RECORDED_AS: str(record.storage_id)},
    )


def _provenance(tags: Mapping[str, str]) -> dict[str, str]:
    """Keep its own data version; what it was made from is named by old keys, and would read as gone from the graph."""
    return {name: value for name, value in tags.items() if not name.startswith("dagster/input_")}


def _figures(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    parts = getattr(value, "data", None)
    if name not in FIGURES or not isinstance(parts, dict):
        yield name, value
        return
    yield from figures(parts, FIGURES[name]).items()
