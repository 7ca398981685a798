"""Our server's folder: both models as the platform packages them, with features of the request and with online ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from benchmarks.serving.data import FEATURES, MODELS, TRAINING_ROWS, rows
from loopline.platform_core.contracts.serving import DesiredState, Served
from loopline.platform_core.runtime.model.manifest import FeatureField, Manifest, Parity, ViewField
from loopline.platform_core.runtime.states import write_desired
from loopline.platform_core.training.packaging.package import package
from loopline.resources.sqlite.online_store import SqliteOnlineStore

ENTITY = "customer_id"
ENTITIES = 10_000
VIEW = ViewField("bench.history.v1", ENTITY, list(FEATURES))
ONLINE = "_online"
"""Ends the name of a model whose features all come from the online store."""
NOON_US = 1_298_980_800_000_000


def write(folder: Path, estimators: Mapping[str, Any]) -> None:
    """Write packages, states and online features; ``environment`` names them."""
    for model in MODELS:
        for name in (model, model + ONLINE):
            made = folder / "packages" / name
            package(estimators[model], manifest(name), rows(TRAINING_ROWS, 0), made)
            write_desired(folder / "serving", DesiredState(name, 1, Served("1", made, "cycle-1")))
    _fill(folder)


def environment(folder: Path, port: int, gateway: str = "") -> Path:
    """Write the environment file of a server on a port, behind a gateway if its settings are given."""
    file = folder / f"environment-{port}.yaml"
    file.write_text(f"""
bindings:
  serving: {{vendor: local, root: "{folder}/serving", port: {port}{f", gateway: {gateway}" if gateway else ""}}}
  online_store: {{vendor: sqlite, path: "{folder}/online.db"}}
""")
    return file


def manifest(name: str) -> Manifest:
    """Say what a model of this name is made of."""
    is_online = name.endswith(ONLINE)
    return Manifest(
        model=name,
        kind="pickle",
        file="",
        features=[FeatureField(feature, "online" if is_online else "request") for feature in FEATURES],
        views=[VIEW] if is_online else [],
        entities=[ENTITY],
        vocabulary={},
        threshold=0.5,
        training_set="bench",
        cycle="cycle-1",
        parity=Parity(0, 0.0, ""),
    )


def _fill(folder: Path) -> None:
    values = rows(ENTITIES, 2)
    columns: dict[str, Any] = {feature: values[:, place] for place, feature in enumerate(FEATURES)}
    times = pa.array([NOON_US] * ENTITIES, pa.timestamp("us", "UTC"))
    store = SqliteOnlineStore(path=str(folder / "online.db"))
    store.write(VIEW.view, ENTITY, pa.table({ENTITY: pa.array(range(ENTITIES)), "event_time": times, **columns}))
    store.close()
