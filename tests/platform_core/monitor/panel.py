"""A chain whose endpoint is asked for every shop once a week; a candidate answers for a part of the shops."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from loopline.platform_core.contracts.serving import Served
from loopline.platform_core.foundation.distance import Floats
from loopline.platform_core.foundation.names import EVENT_TIME
from loopline.platform_core.loop.deployments.deployments import change
from loopline.platform_core.monitor.drift.block_profile import training_profile
from loopline.platform_core.monitor.drift.drift import Watched, watch
from loopline.platform_core.monitor.drift.profile import Profile
from loopline.platform_core.monitor.quality.predictions import compact
from loopline.platform_core.specs import Drift
from tests.platform_core.homes import log_row
from tests.platform_core.monitor.conftest import REF, T0, Shop

SHOPS, LEARNT_WEEKS = 80, 60
CONSTANT = ("size", "region", "opened", "staff", "rent")
FEATURES = (*CONSTANT, "price", "stock", "visits")
KEYS = [f"s{number:02}" for number in range(SHOPS)]


@dataclass(frozen=True)
class Chain:
    """Shops with five columns that never change; prices and stock move in all of them at once, week by week."""

    seed: int = 0
    min_rows: int = 160

    @cached_property
    def constant(self) -> dict[str, Any]:
        """Draw what never changes of each shop; shops are named in order of size and region."""
        random = np.random.default_rng([self.seed, 1])
        return {
            "size": np.sort(random.lognormal(size=SHOPS)),
            "region": np.sort(random.choice(["east", "north", "south", "west"], SHOPS)),
            "opened": random.integers(1980, 2010, SHOPS).astype(float),
            "staff": random.poisson(8, SHOPS).astype(float),
            "rent": random.normal(size=SHOPS),
        }

    def columns(self, week: int) -> dict[str, Any]:
        """Draw what the shops show in a week, from the first shop to the last."""
        random = np.random.default_rng([self.seed, 2, week])
        price, stock = random.normal(size=2) * 0.5
        moving = {"price": random.normal(size=SHOPS) + price, "stock": random.normal(size=SHOPS) + stock}
        return self.constant | moving | {"visits": random.normal(size=SHOPS)}

    def scores(self, version: str, columns: dict[str, Any]) -> Floats:
        """Say what a version answers; one version's scores lie elsewhere than another's."""
        found: Floats = 1 / (1 + np.exp(-np.log(columns["size"]) - 0.5 * columns["visits"] - int(version) % 3))
        return found

    def profile(self, version: str) -> Profile:
        """Profile the weeks before the live ones as a version has learnt from them; it scores the last quarter."""
        drawn = [self.columns(week) for week in range(LEARNT_WEEKS)]
        times = [T0 + timedelta(weeks=week) for week in range(LEARNT_WEEKS) for _ in range(SHOPS)]
        table = pa.table({name: np.concatenate([one[name] for one in drawn]) for name in FEATURES})
        table = table.append_column(EVENT_TIME, pa.array(times, pa.timestamp("us", tz="UTC")))
        table = table.append_column("shop", pa.array(KEYS * LEARNT_WEEKS))
        scores = np.concatenate([self.scores(version, one) for one in drawn])
        scores[: len(scores) * 3 // 4] = np.nan
        return training_profile(table, FEATURES, scores, Drift(min_rows=self.min_rows), entities=("shop",))


@dataclass
class Endpoint:
    """The endpoint that answers for a chain, and its monitor; ``profiles`` are of versions 1 to 3, and so on again."""

    shop: Shop
    chain: Chain
    profiles: list[Profile]
    served: str = ""
    week: int = LEARNT_WEEKS
    asked: int = field(default=0, init=False)
    packages: dict[str, Path] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        """Let the model have the windows of the chain."""
        object.__setattr__(self.shop.model, "drift", Drift(min_rows=self.chain.min_rows))

    def train(self, version: str, view: str = "shop.shops.v1") -> None:
        """Make a package of a version that takes its features from a view."""
        self.packages[version] = self.shop.publish(version, self.profiles[(int(version) - 1) % 3], FEATURES, view)

    def promote(self, version: str) -> None:
        """Let a version answer alone."""
        if version not in self.packages:
            self.train(version)
        served, now = Served(version, self.packages[version], version), self.shop.platform.clock.now()
        change(self.shop.platform, REF, served, None, 0, actor="test", reason="test", cycle=version, now=now)
        self.served = version

    def answer(
        self,
        weeks: int = 1,
        shops: range = range(SHOPS),
        candidate: str = "",
        share: float = 0.0,
        **moved: Callable[[Any], Any],
    ) -> None:
        """Answer for shops in the next weeks, one shop a minute; a candidate answers for its ``share`` of all shops.

        ``moved`` are functions by column: each takes a week's values and returns others.
        """
        if candidate and candidate not in self.packages:
            self.train(candidate)
        for _ in range(weeks):
            columns = self.chain.columns(self.week)
            columns |= {name: move(columns[name]) for name, move in moved.items()}
            theirs = np.random.default_rng([self.chain.seed, 3, int(candidate or 0)]).permutation(SHOPS) < share * SHOPS
            versions = {self.served, candidate or self.served}
            sides = {version: self.chain.scores(version, columns) for version in versions}
            for shop in shops:
                self._log(shop, candidate if theirs[shop] else self.served, columns, sides)
            self.week += shops.stop == SHOPS

    def look(self) -> Watched:
        """Compact and watch."""
        compact(self.shop.platform, self.shop.team, self.shop.model)
        return watch(self.shop.platform, self.shop.team, self.shop.model)

    def _log(self, shop: int, version: str, columns: dict[str, Any], sides: dict[str, Floats]) -> None:
        at = T0 + timedelta(weeks=self.week, minutes=shop)
        features = {name: np.asarray(columns[name])[shop].item() for name in FEATURES}
        said = {"features": json.dumps(features), "keys": json.dumps({"shop": KEYS[shop]})}
        self.shop.platform.clock.set(at)
        self.asked += 1
        self.shop.serving.log([log_row(f"r{self.asked:06}", at, version, float(sides[version][shop]), **said)])
