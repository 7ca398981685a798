"""Our feature service on the bench's rows: ``python -m benchmarks.feature_server.ours FOLDER REDIS_URL PORT``.

The rows are those of ``benchmarks.online_reads``; the service is the application, on uvicorn with one worker.
"""

from __future__ import annotations

import sys
from pathlib import Path

import narwhals as nw
import uvicorn
import yaml

from benchmarks.online_reads import data
from loopline.features_api.app import create_app
from loopline.platform_core.environment import Environment, bind
from loopline.platform_core.foundation.names import EVENT_TIME, online_view
from loopline.platform_core.platform import Platform
from loopline.platform_core.specs import FeatureView, Labels, Model, Source, Team

TEAM = "bench"


def main() -> None:
    """Write the rows online, then serve until ended."""
    folder, url, port = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    owner = team(folder)
    bindings = {
        "online_store": bind("online_store", {"vendor": "redis", "url": url, "prefix": "served:"}),
        "engine": bind("engine", {"vendor": "polars"}),
    }
    platform = Platform(Environment("bench", folder, bindings, f"sqlite:///{folder}/ledger.db", None, folder))
    for view, shape in zip(owner.models[0].features, data.SHAPES, strict=True):
        platform.online_store.write(online_view(TEAM, view), data.ENTITY, data.rows(folder, shape))
    uvicorn.run(create_app(platform, [owner]), port=port, log_level="warning", access_log=False)


def team(folder: Path) -> Team:
    """Declare the bench's views, with a contract of all their columns in ``folder``."""
    columns = [_column(data.ENTITY, "integer"), _column(EVENT_TIME, "timestamp")]
    columns += [_column(name, "number") for shape in data.SHAPES for name in shape.features]
    contract = {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": TEAM,
        "name": TEAM,
        "version": "1.0.0",
        "status": "active",
        "schema": [{"name": TEAM, "logicalType": "object", "properties": columns}],
    }
    folder.joinpath("bench.yaml").write_text(yaml.safe_dump(contract))
    labels = Labels("none", Source(TEAM, "bench.yaml"), (data.ENTITY,), EVENT_TIME, "label", "known_at", _same)
    views = tuple(_view(shape) for shape in data.SHAPES)
    return Team(TEAM, folder, (Model("bench", views, labels, fit=lambda *_: None),))  # type: ignore[arg-type,return-value]


def _view(shape: data.Shape) -> FeatureView:
    def own(rows: nw.LazyFrame) -> nw.LazyFrame:
        return rows.select(data.ENTITY, EVENT_TIME, *shape.features)

    return FeatureView(shape.view, Source(TEAM, "bench.yaml"), data.ENTITY, EVENT_TIME, own)


def _same(rows: nw.LazyFrame) -> nw.LazyFrame:
    return rows


def _column(name: str, kind: str) -> dict[str, object]:
    return {"name": name, "physicalName": name, "logicalType": kind}


if __name__ == "__main__":
    main()
