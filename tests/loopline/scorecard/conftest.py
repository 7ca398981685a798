"""A ledger on each database, in which things happen at times that a hand can reckon with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pydantic import PrivateAttr

from loopline.platform_core.contracts.serving import ServerUse
from loopline.platform_core.environment import Environment
from loopline.platform_core.foundation.clock import ReplayClock
from loopline.platform_core.foundation.names import DATE, prediction_table
from loopline.platform_core.loop.deployments import watching
from loopline.platform_core.loop.ledger.entry_kinds import REGISTERED
from loopline.platform_core.loop.ledger.ledger import Entry, Ledger
from loopline.platform_core.platform import Platform
from loopline.platform_core.specs import Model, Team
from loopline.platform_core.testing.fakes.lake import InMemoryLake
from loopline.platform_core.testing.fakes.serving import InMemoryServing
from loopline.stories.many_models import LATE

T0 = datetime(2026, 1, 5, tzinfo=UTC)
"""A Monday."""


@dataclass
class Told:
    """Writes entries as the loop does; hours count from ``T0``."""

    ledger: Ledger
    numbers: Iterator[int] = field(default_factory=lambda: count(1))
    generation: int = 0

    def at(self, hours: float) -> datetime:
        """Return an instant."""
        return T0 + timedelta(hours=hours)

    def say(self, kind: str, at: float, owner: str, /, cycle: str = "", version: str = "", **details: Any) -> None:
        """Append an entry; ``owner`` is ``team/model``."""
        team, model = owner.split("/")
        reason = details.pop("reason", "")
        self.ledger.record(Entry(kind, self.at(at), team, model, cycle, version, reason=reason, details=details))

    def opened(self, hours: float, owner: str, reason: str = "by hand", **details: Any) -> str:
        """Open a cycle and return its name, which is its version and rollout as well."""
        name = str(next(self.numbers))
        self.say("cycle.opened", hours, owner, cycle=name, reason=reason, key=name, **details)
        return name

    def started(self, hours: float, owner: str, name: str) -> None:
        """Start a rollout."""
        self.say("rollout.started", hours, owner, cycle=name, version=name, rollout=name, step=-1)

    def advanced(self, hours: float, owner: str, name: str) -> None:
        """Let callers meet the version."""
        self.say("rollout.advanced", hours, owner, cycle=name, version=name, rollout=name, step=-1, percent=5)

    def promoted(self, hours: float, owner: str, name: str, opened: float) -> None:
        """Promote the version and close its cycle, which opened so many hours after ``T0``."""
        self.say("rollout.promoted", hours, owner, cycle=name, version=name, rollout=name, step=2, percent=100)
        self.changed(hours, owner, name)
        self.say("cycle.closed", hours, owner, cycle=name, state="promoted", hours=hours - opened)

    def rolled_back(self, hours: float, owner: str, name: str, stable: str) -> None:
        """Take the candidate back."""
        self.say("rollout.rolled_back", hours, owner, cycle=name, version=name, rollout=name, step=0, percent=0)
        self.changed(hours, owner, stable)
        self.say("cycle.closed", hours, owner, cycle=name, state="rolled_back", hours=1.0)

    def changed(self, hours: float, owner: str, stable: str, **details: Any) -> None:
        """Make a new generation."""
        self.generation += 1
        served = {"version": stable, "package": "/p", "cycle": stable}
        self.say(
            "deployment.changed", hours, owner, version=stable, stable=served, generation=self.generation, **details
        )

    def arrived(self, hours: float, owner: str) -> None:
        """See the endpoint at the newest generation."""
        self.say(watching.ARRIVED, hours, owner, generation=self.generation)

    def went_live(self, owner: str, opened: float, promoted: float, **details: Any) -> str:
        """Turn the loop once, well."""
        name = self.opened(opened, owner, **details)
        self.started(opened, owner, name)
        self.advanced(opened, owner, name)
        self.promoted(promoted, owner, name, opened)
        return name

    def trained(self, hours: float, owner: str, **usage: float) -> None:
        """Register a version whose training used so much."""
        self.say(REGISTERED, hours, owner, version="1", usage=usage)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ledger.db"
    return request.getfixturevalue("new_database")()


@pytest.fixture
def told(url: str) -> Iterator[Told]:
    """Open a ledger to tell."""
    ledger = Ledger.open(url)
    yield Told(ledger)
    ledger.close()


class Servers(InMemoryServing):
    """An endpoint whose processes use what a test says."""

    _used: tuple[ServerUse, ...] = PrivateAttr(default=())

    def usage(self) -> tuple[ServerUse, ...]:
        """Say it."""
        return self._used


@dataclass
class Office:
    """A platform in memory whose clock is moved by hand, and its ledger to tell."""

    platform: Platform
    told: Told

    def clock(self, hours: float) -> datetime:
        """Move the clock to so many hours after ``T0``."""
        assert isinstance(self.platform.clock, ReplayClock)
        self.platform.clock.set(self.told.at(hours))
        return self.told.at(hours)

    def teams(self, *owners: str) -> list[Team]:
        """Declare models, written ``team/model``."""
        pairs = [owner.split("/") for owner in owners]
        return [Team(team, __file__, models=(Model(model, (), LATE, None),)) for team, model in pairs]

    def servers(self, *used: ServerUse) -> None:
        """Let the processes that answer have used so much."""
        assert isinstance(self.platform.serving, Servers)
        self.platform.serving._used = used

    def answered(self, hours: float, owner: str, *latencies: float, status: int = 200) -> None:
        """Compact requests of an hour into the lake."""
        count, at = len(latencies), self.told.at(hours)
        whole = pa.int32()
        log = {
            DATE: pa.array([at.date()] * count, pa.date32()),
            "row": pa.array([0] * count, whole),
            "logged_at": pa.array([at] * count, pa.timestamp("us", "UTC")),
            "role": ["stable"] * count,
            "status": pa.array([status] * count, whole),
            "latency_ms": pa.array(latencies, pa.float64()),
        }
        self.platform.lake.append(prediction_table(*owner.split("/")), pa.table(log))


@pytest.fixture
def make_office(tmp_path: Path) -> Iterator[Callable[..., Office]]:
    """Give the function that makes a platform on SQLite; a price sheet may be named."""
    made = []

    def make(prices: Path | None = None) -> Office:
        bindings = {"lake": InMemoryLake(), "serving": Servers()}
        files = f"sqlite:///{tmp_path}/office.db", tmp_path / "clock", tmp_path
        bound = Environment("t", tmp_path / "e.yaml", bindings, *files, prices=prices)
        made.append(Platform(bound))
        office = Office(made[-1], Told(made[-1].ledger))
        office.clock(0)
        return office

    yield make
    for platform in made:
        platform.close()


@pytest.fixture
def office(make_office: Callable[..., Office]) -> Office:
    """Give a platform without a price sheet."""
    return make_office()
