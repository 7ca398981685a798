"""A platform with a real lake, engine and ledger, whose endpoint logs what the tests let it answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import pyarrow as pa
import pytest

from loopline.platform_core.contracts.registry import Publication
from loopline.platform_core.contracts.serving import Served
from loopline.platform_core.foundation.names import ModelRef, prediction_table, raw_table
from loopline.platform_core.loop.deployments.deployments import change
from loopline.platform_core.monitor.drift import joint
from loopline.platform_core.monitor.drift.profile import Profile, build_profile
from loopline.platform_core.monitor.quality.predictions import compact
from loopline.platform_core.monitor.quality.quality_figures import Measured, history
from loopline.platform_core.monitor.quality.quality_history import measured
from loopline.platform_core.platform import Platform
from loopline.platform_core.runtime.model.manifest import FeatureField, Manifest, Parity, ViewField
from loopline.platform_core.specs import Drift, Model, Source, Team, labels
from loopline.platform_core.specs.contracts.personal import Pseudonyms
from loopline.platform_core.testing.engines.engine_tables import put_contract
from loopline.platform_core.testing.fakes.drift_report import InMemoryDriftReport
from loopline.platform_core.testing.fakes.serving import InMemoryServing
from tests.platform_core.homes import log_row, opened, raw_rows

T0 = datetime(2011, 3, 1, tzinfo=UTC)
REF = ModelRef("shop", "returns")
FEATURES = ("amount", "country")
PROFILES: dict[str, tuple[Profile, Any]] = {}
"""What was profiled, by the state of the generator before, with the one behind it."""
ORDERS = Source("orders", contract="contracts/orders.yaml")


@labels(ORDERS, entities=("order_id",), time="ordered_at", label="returned", known_at="settled_at")
def returned(rows: nw.LazyFrame) -> nw.LazyFrame:
    """Per order: was it returned; known when it is settled."""
    return rows.select("order_id", "ordered_at", "returned", "settled_at")


class LoggingServing(InMemoryServing):
    """An endpoint whose log the tests write."""

    def log(self, rows: Sequence[dict[str, Any]]) -> None:
        """Add answered rows to the log."""
        self._log.setdefault(REF.dotted, []).extend(rows)


@dataclass
class Shop:
    """A team with one model, and the world around it."""

    platform: Platform
    team: Team
    model: Model
    serving: LoggingServing
    ref: ModelRef = REF
    start: datetime = T0
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))
    answered: int = 0

    def learn(self, rows: int = 20_000) -> pa.Table:
        """Draw rows as the training set has them."""
        amounts = self.random.lognormal(3, 1, rows)
        return pa.table({"amount": amounts, "country": self.random.choice(["DE", "FR", "UK"], rows)})

    def deploy(self, version: str = "1") -> Path:
        """Make a package with its profile and let it answer as the stable version."""
        package = self.publish(version, self._profiled(), FEATURES)
        self.promote(version)
        return package

    def promote(self, version: str) -> None:
        """Let a version that has a package answer as the stable one."""
        stable = Served(version, self.platform.home / "packages" / REF.dotted / version, "cycle-1")
        now = self.platform.clock.now()
        change(self.platform, REF, stable, None, 0, actor="test", reason="test", cycle="cycle-1", now=now)

    def publish(self, version: str, profile: Profile, features: Sequence[str], view: str = "shop.orders.v1") -> Path:
        """Make a package of a version that takes features from a view, and register it."""
        package = self.platform.home / "packages" / REF.dotted / version
        package.mkdir(parents=True)
        profile.save(package)
        fields, views = [FeatureField(name, "online") for name in features], [ViewField(view, "order_id", [*features])]
        about = (REF.dotted, "pickle", "", fields, views, ["order_id"], {}, 0.5, "", "cycle-1", Parity(0, 0.0, ""))
        Manifest(*about).save(package)
        example = pa.table({"amount": [1.0]})
        self.platform.registry.publish(Publication(REF.dotted, package, None, example))  # type: ignore[arg-type]
        return package

    def _profiled(self) -> Profile:
        drawn_from = str(self.random.bit_generator.state)  # in most tests that of a new shop
        if drawn_from not in PROFILES:
            profile = build_profile(self.learn(), FEATURES, self.random.random(20_000))
            PROFILES[drawn_from] = profile, self.random.bit_generator.state
        profile, self.random.bit_generator.state = PROFILES[drawn_from]
        return profile

    def answer(self, rows: int, *, version: str = "1", factor: float = 1.0) -> None:
        """Answer requests, one a second, with amounts multiplied by ``factor``."""
        table = self.learn(rows).to_pylist()
        for row in table:
            row["amount"] *= factor
        self.serving.log([self._row(row, self.random.random(), version) for row in table])

    def answer_scores(
        self, scores: Sequence[float | None], *, version: str = "1", hide: Pseudonyms | None = None
    ) -> None:
        """Answer requests with given scores; None is a failed one. The keys are hidden if something hides them."""
        rows = [self._row({}, score, version) for score in scores]
        for row in rows if hide else ():
            row["keys"] = json.dumps({"order_id": hide.of("order_id", json.loads(row["keys"])["order_id"])})
        self.serving.log(rows)

    def _row(self, features: dict[str, Any], score: float | None, version: str) -> dict[str, Any]:
        self.answered += 1
        at = T0 + timedelta(seconds=self.answered)
        more = {"cycle": "cycle-1", "keys": json.dumps({"order_id": self.answered}), "features": json.dumps(features)}
        return log_row(f"r{self.answered:06}", at, version, score, **more)

    def keep(self, rows: list[dict[str, Any]]) -> None:
        """Write answered rows as the lake has them."""
        table = pa.Table.from_pylist(rows).drop_columns(["features", "missing"])
        narrow = [f.with_type(pa.int32() if f.name in {"row", "status"} else f.type) for f in table.schema]
        self.platform.lake.append(prediction_table(*REF), table.cast(pa.schema(narrow)))

    def settle(self, truth: Sequence[float], settled_at: datetime) -> None:
        """Let the orders of the first answers arrive as raw rows, with labels that are known at ``settled_at``."""
        numbers, known = range(1, len(truth) + 1), [settled_at] * len(truth)
        ordered, returned = [T0 + timedelta(seconds=number) for number in numbers], list(map(float, truth))
        told = {"ordered_at": ordered, "returned": returned, "settled_at": known}
        rows = raw_rows("ordered_at", order_id=numbers, **told)
        self.platform.lake.append(raw_table(REF.team, ORDERS.name), rows)


@dataclass
class Live:
    """A shop whose model answers orders that are settled later; its labels tell which column that settles."""

    shop: Shop
    model: Model
    asked: int = 0

    def answer(  # noqa: PLR0913 - an order has all that
        self,
        scores: Sequence[float],
        truth: Sequence[float],
        at: datetime,
        *,
        wait_days: Sequence[float] | float = 31,
        countries: Sequence[str] | str = "France",
        version: str = "1",
        features: dict[str, Any] | None = None,
    ) -> None:
        """Answer orders at an instant, and let them arrive as raw rows that are settled later."""
        count = len(scores)
        numbers = list(range(self.asked + 1, self.asked + count + 1))
        self.asked += count
        self.shop.serving.log(
            [self.row(n, s, at, version, features or {}) for n, s in zip(numbers, scores, strict=True)]
        )
        waits = [wait_days] * count if isinstance(wait_days, int | float) else wait_days
        told = {"country": [countries] * count if isinstance(countries, str) else countries}
        told |= {"ordered_at": [at] * count, "settled_at": [at + timedelta(days=wait) for wait in waits]}
        told[self.model.labels.label] = list(map(float, truth))
        self.shop.platform.lake.append(raw_table("shop", "orders"), raw_rows("ordered_at", order_id=numbers, **told))

    def row(self, number: int, score: float, at: datetime, version: str, features: dict[str, Any]) -> dict[str, Any]:
        """Make a row of the log."""
        row = self.shop._row(features, float(score), version)
        return row | {"event_time": at, "logged_at": at, "keys": json.dumps({"order_id": number})}

    def hold_out(self, scores: Any, truth: Any) -> None:
        """Put rows that it never learnt from into the package of version 1."""
        target, package = self.model.target, self.shop.platform.home / "packages" / "shop.returns" / "1"
        target.estimation.held_out(target, scores, truth).save(package, target.estimation.file)

    def measured(self, now: datetime | None = None) -> list[Measured]:
        """Compact and measure at a time."""
        if now is not None:
            self.shop.platform.clock.set(now)
        compact(self.shop.platform, self.shop.team, self.model)
        measured(self.shop.platform, self.shop.team, self.model)
        return history(self.shop.platform, self.shop.ref)


def told(found: Sequence[Measured], metric: str, segment: str = "", *, estimated: bool = False) -> list[Measured]:
    """Pick a metric's windows."""
    return [m for m in found if (m.metric, m.segment, m.estimated) == (metric, segment, estimated)]


def _mark_personal(folder: Path, *columns: str) -> None:
    """Write the contract of the orders, in which some columns are personal."""
    file = folder / ORDERS.contract
    file.parent.mkdir(exist_ok=True)
    put_contract(file, order_id="integer", ordered_at="timestamp", returned="number", settled_at="timestamp")
    text = file.read_text()
    for name in columns:
        text = text.replace(f"{{name: {name},", f"{{name: {name}, classification: personal,")
    file.write_text(text)


@pytest.fixture
def mark_personal() -> Callable[..., None]:
    """Give what marks columns of the orders' contract as personal."""
    return _mark_personal


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """Give a shop in which nothing has happened."""
    monkeypatch.setattr(joint, "ORDERS", 20)  # most of a look's time, and what other tests are about
    serving = LoggingServing()
    platform = opened(tmp_path, T0 + timedelta(days=1), serving=serving, drift_report=InMemoryDriftReport())
    _mark_personal(tmp_path)
    model = Model("returns", (), returned, fit=None, drift=Drift(min_rows=500))  # type: ignore[arg-type]
    yield Shop(platform, Team("shop", tmp_path, (model,)), model, serving)
    platform.close()
