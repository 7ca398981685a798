"""A shop with features on a real lake and online store, and a LightGBM and an ONNX model over them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import narwhals as nw
import numpy as np
import pyarrow as pa
import pytest

from loopline.platform_core.contracts.registry import Publication
from loopline.platform_core.contracts.serving import Served
from loopline.platform_core.features.materialization.materialize import materialize
from loopline.platform_core.foundation.names import DATE, ModelRef, online_view, raw_table
from loopline.platform_core.loop.deployments.deployments import change
from loopline.platform_core.platform import Platform
from loopline.platform_core.runtime.model import manifest as manifests
from loopline.platform_core.runtime.model.manifest import FeatureField, Manifest, Parity, ViewField
from loopline.platform_core.specs import Batch, Model, Team, feature_view
from loopline.platform_core.testing.engines.engine_tables import (
    ORDERS,
    at,
    large_order,
    put_contract,
    raw_orders,
    spending,
)
from loopline.platform_core.testing.fakes.serving import InMemoryServing
from loopline.platform_core.training.packaging.package import package
from loopline.resources.sqlite.online_store import SqliteOnlineStore
from tests.platform_core.homes import opened

REF = ModelRef("shop", "large_orders")
FEATURES = ("article", "orders", "spend", "amount")
ARTICLES = ["clock", "rød vase", "tray"]
ROWS = 3_000


@feature_view(ORDERS, entity="customer", time="ordered_at", served="request")
def basket(orders: nw.LazyFrame) -> nw.LazyFrame:
    """Per order: its amount, which the caller sends."""
    return orders.group_by("customer", "ordered_at").agg(nw.col("amount").max())


@feature_view(ORDERS, entity="customer", time="ordered_at", served="request")
def to_score(orders: nw.LazyFrame) -> nw.LazyFrame:
    """Per order: the row that is scored in its day's batch."""
    return orders.select("customer", "ordered_at").unique()


@cache
def learnt() -> tuple[pa.Table, np.ndarray]:
    """Draw feature rows with unknowns and gaps, and labels that depend on each of them."""
    random = np.random.default_rng(1)
    articles = [None if n % 17 == 0 else str(a) for n, a in enumerate(random.choice([*ARTICLES, "new"], ROWS))]
    spend, amount = random.gamma(2, 40, ROWS), random.gamma(2, 10, ROWS)
    orders = random.integers(1, 9, ROWS)
    hidden = random.random((2, ROWS)) < 0.1
    score = spend / 80 + amount / 20 - orders / 5 + np.array([a == "tray" for a in articles])
    y = (score + random.normal(0, 0.5, ROWS) > 1.5).astype(float)
    columns = [pa.array(articles), pa.array(orders, mask=hidden[0]), pa.array(spend, mask=hidden[1]), pa.array(amount)]
    return pa.table(columns, names=list(FEATURES)), y


def fitted(kind: str, x: np.ndarray, y: np.ndarray) -> Any:
    """Fit what the package stores as ``lightgbm``, ``onnx`` or ``pickle``."""
    if kind == "lightgbm":
        import lightgbm

        return lightgbm.LGBMClassifier(n_estimators=40, verbosity=-1, n_jobs=1).fit(x, y, categorical_feature=[0])
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()).fit(x, y)


def write(kind: str, folder: Path) -> Path:
    """Package a model over ``FEATURES``: the view's three online, the amount from the request."""
    from loopline.platform_core.runtime.model.encode import matrix

    table, y = learnt()
    x = matrix({name: table[name] for name in FEATURES}, FEATURES, {"article": ARTICLES})
    draft = Manifest(
        model=REF.dotted,
        kind="pickle",
        file="",
        features=[FeatureField(n, "request" if n == "amount" else "online", n == "article") for n in FEATURES],
        views=[ViewField(online_view("shop", spending), "customer", list(FEATURES[:3]), spending.ttl_days)],
        entities=["customer"],
        vocabulary={"article": ARTICLES},
        threshold=0.4,
        training_set="set-1",
        cycle="cycle-1",
        parity=Parity(0, 0.0, ""),
    )
    manifest = package(fitted(kind, x, y), draft, x, folder)
    assert manifest.kind == kind
    return folder


@dataclass
class Shop:
    """A platform, and a team whose model is scored; hours are the platform's clock."""

    platform: Platform
    team: Team
    write_model: Callable[..., Served]

    @property
    def model(self) -> Model:
        """Return the one model."""
        return self.team.models[0]

    def land(self, *rows: tuple[int | None, float, float, float, str], hour: float) -> None:
        """Land raw rows of (customer, hour, arrival's hour, amount, article) and make features at an hour."""
        self.now(hour)
        orders = raw_orders(*rows)
        dates = pa.compute.cast(orders["ordered_at"], pa.date32())
        self.platform.lake.append(raw_table("shop", "orders"), orders.append_column(DATE, dates))
        for view in (spending, basket):
            materialize(self.platform, self.team, view)

    def now(self, hour: float) -> None:
        """Move the clock."""
        self.platform.clock.set(at(hour))

    def serve(self, kind: str = "lightgbm", version: str = "1") -> Served:
        """Make a version live that the package of a kind holds."""
        return self.live(self.write_model(kind, Path(self.team.folder) / "packages" / version, version))

    def live(self, served: Served) -> Served:
        """Publish a version and make it the stable one."""
        example = pa.table({"amount": [1.0]})
        self.platform.registry.publish(Publication(REF.dotted, served.package, None, example))  # type: ignore[arg-type]
        why = {"actor": "t", "reason": "t", "cycle": served.cycle, "now": self.platform.clock.now()}
        change(self.platform, REF, served, None, 0, **why)  # type: ignore[arg-type]
        return served


def day(number: int) -> date:
    """Count days from the start of 2020."""
    return at(0).date() + timedelta(days=number)


@pytest.fixture(scope="session")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Give the function that packages a kind of model once for all tests, which copy it."""
    return cache(lambda kind: write(kind, tmp_path_factory.mktemp("packaged") / kind))


@pytest.fixture
def write_model(packaged: Callable[[str], Path]) -> Callable[..., Served]:
    """Give the function that writes a model's package into a folder."""

    def written(kind: str, folder: Path, version: str = "1") -> Served:
        shutil.copytree(packaged(kind), folder)
        manifest = msgspec.structs.replace(manifests.load(folder), cycle=f"cycle-{version}")
        manifest.save(folder)
        return Served(version, folder, manifest.cycle)

    return written


@pytest.fixture
def new_shop(tmp_path: Path, write_model: Callable[..., Served]) -> Iterator[Callable[..., Shop]]:
    """Make a shop, with more bindings."""
    made: list[Platform] = []

    def make(**more: Any) -> Shop:
        store = SqliteOnlineStore(path=str(tmp_path / "online.db"))
        made.append(opened(tmp_path, at(0), **{"online_store": store, "serving": InMemoryServing(), **more}))
        put_contract(tmp_path / "orders.yaml")
        batch = Batch(to_score, start=day(0))
        model = Model("large_orders", (spending, basket), large_order, fit=None, batch=batch)  # type: ignore[arg-type]
        return Shop(made[0], Team("shop", tmp_path, (model,)), write_model)

    yield make
    for platform in made:
        platform.close()
