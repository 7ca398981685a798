"""Synthetic installation for tests of the portal: three models with rich histories, and many light ones.

The rich ones go through the loop's own state machines on a replay clock, with vendors in memory; nothing is trained.
The light ones are written as rows, so that a thousand take seconds.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pydantic import PrivateAttr

from loopline.platform_core.environment import Environment, bind
from loopline.platform_core.features.registry.registry import FeatureRegistry
from loopline.platform_core.foundation.clock import Clock, ReplayClock
from loopline.platform_core.platform import Platform
from loopline.platform_core.plugins import Installed, Quarantined
from loopline.platform_core.specs import P99, ErrorRate, Model, Rollout, ScoreShift, Team
from loopline.platform_core.testing.engines.engine_tables import large_order, put_contract, spending
from loopline.platform_core.testing.fakes.drift_report import InMemoryDriftReport
from loopline.platform_core.testing.fakes.event_source import InMemoryEventSource
from loopline.platform_core.testing.fakes.lake import InMemoryLake
from loopline.platform_core.testing.fakes.online_store import InMemoryOnlineStore
from loopline.platform_core.testing.fakes.registry import InMemoryRegistry
from loopline.platform_core.testing.fakes.serving import InMemoryServing
from loopline.stories import portal_data, portal_light, portal_story

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

NOW = datetime(2026, 11, 25, 14, 0, tzinfo=UTC)
"""When the story ends, and what the clock says from then on."""
RULE = Rollout(
    percents=(5, 25, 100),
    bake_minutes=60,
    min_requests=60,
    judges=(ErrorRate(0.02), P99(50), ScoreShift(0.6)),
)
BROKEN = Quarantined("pricing", "pricing/models.py", 41, "NameError: name 'log_rnage' is not defined")


class TimedServing(InMemoryServing):
    """Serving in memory that logs by the platform's clock."""

    _clock: Clock | None = PrivateAttr(default=None)

    def follow(self, clock: Clock) -> None:
        """Log by this clock from now on."""
        self._clock = clock

    def _now(self) -> datetime:
        assert self._clock is not None
        return self._clock.now()


@dataclass(frozen=True)
class PortalHome:
    """A platform with a past, and the teams that made it; ``teams`` is what ``plugins.installed()`` would give."""

    platform: Platform
    teams: Installed

    def copied(self, folder: Path) -> PortalHome:
        """Make another home with the same past, for whoever changes it: nothing of it is made anew."""
        shutil.copytree(self.platform.home, folder)
        found = self.platform.environment.bindings
        platform = _open(folder, {name: vendor.model_copy(deep=True) for name, vendor in found.items()})
        return PortalHome(platform, self.teams)

    def close(self) -> None:
        """Let it go."""
        self.platform.close()


def portal_home(folder: Path, light: int = 0, *, rich: bool = True) -> PortalHome:
    """Make a home in an empty folder.

    With ``rich``: ``shop/returns`` (version 4 at 25 percent, drifted), ``shop/basket`` (one rolled back, frozen),
    ``bank/card_fraud`` (a failed gate that a person may override, a standing alarm), ``shop/demand`` (nothing live), a
    quarantined team. And ``light`` models of ten more teams, each live with a few dozen windows.
    """
    folder.mkdir(parents=True, exist_ok=True)
    put_contract(folder / "orders.yaml")
    platform = _platform(folder)
    teams = _teams(folder) if rich else ()
    for team in teams:
        FeatureRegistry(platform).register(team)
    if rich:
        portal_story.tell(platform, {team.name: team for team in teams}, NOW)
    more = portal_light.tell(platform, folder, light, NOW)
    _set(platform, NOW)
    portal_data.tell(platform, [team.name for team in teams], [(t.name, m.name) for t in more for m in t.models], NOW)
    return PortalHome(platform, Installed((*teams, *more), (BROKEN,) if rich else ()))


def _platform(folder: Path) -> Platform:
    bindings = {
        "lake": InMemoryLake(),
        "online_store": InMemoryOnlineStore(),
        "event_source": InMemoryEventSource(),
        "engine": bind("engine", {"vendor": "polars"}),
        "registry": InMemoryRegistry(),
        "serving": TimedServing(),
        "drift_report": InMemoryDriftReport(),
    }
    platform = _open(folder, bindings)
    _set(platform, NOW - timedelta(days=120))
    return platform


def _open(folder: Path, bindings: Mapping[str, Any]) -> Platform:
    ledger, clock = f"sqlite:///{folder}/ledger.db", folder / "clock"
    platform = Platform(Environment("portal", folder / "portal.yaml", bindings, ledger, clock, folder))
    bindings["serving"].follow(platform.clock)
    return platform


def _set(platform: Platform, at: datetime) -> None:
    assert isinstance(platform.clock, ReplayClock)
    platform.clock.set(at)


def _teams(folder: Path) -> tuple[Team, ...]:
    view = replace(spending, description=spending.description or "Orders and spend of a customer so far.")
    plain: dict[str, Any] = {"features": (view,), "labels": large_order, "fit": None, "rollout": RULE}
    shop = tuple(Model(name, description=said, **plain) for name, said in portal_story.SHOP.items())
    bank = tuple(Model(name, description=said, **plain) for name, said in portal_story.BANK.items())
    return Team("shop", folder, shop, "shop growth"), Team("bank", folder, bank, "fraud desk")
