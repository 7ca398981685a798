"""Runs a demo story: prints the ledger as it grows, and paces the replay by the landings."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from loopline.asset_defs.keys import CYCLE_JOB, ROLLOUT_JOB
from loopline.asset_defs.runs.runs import IN_PROGRESS
from loopline.platform_core.errors import StoreUnavailable
from loopline.platform_core.ingestion.landing import pending
from loopline.platform_core.loop.cycles.cycles import cycles
from loopline.platform_core.loop.deployments.watching import last_look

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from loopline.demo.replay import Replay
    from loopline.demo.stage import Stage
    from loopline.demo.teller import Teller
    from loopline.up.app import App

LAG_DAYS = 31
"""The replay waits when more files than this have not landed, so that features online stay fresh."""
LOOK_SECONDS = 0.5
"""How often the ledger and the landing folder are looked at: each look costs what the loop could use."""
STEPS = frozenset({CYCLE_JOB, ROLLOUT_JOB})
LOOK_DAYS, STEP_DAYS = 42, 12
"""So many days go by between two looks of the loop's sensors at most, and while a cycle is open: days that a slow
machine needs for one look would be missing at the end."""


@dataclass
class Pace:
    """How many days have gone by since the loop last looked, and since each of its runs began."""

    looked_at: float = 0.0
    looked: int = 0
    began: dict[str, int] = field(default_factory=dict)

    def waits(self, played: int, looked_at: float, runs: Mapping[str, str], *, turning: bool) -> bool:
        """Say whether the replay is to wait, with so many days played.

        ``looked_at`` is when the sensors last looked (seconds), ``runs`` are those in progress with their jobs;
        ``turning`` says that a cycle is open. A training, or a step of a rollout, needs no new day.
        """
        if looked_at != self.looked_at:
            self.looked_at, self.looked = looked_at, played
        self.began = {run: self.began.get(run, played) for run in runs}
        oldest = min([self.looked, *self.began.values()])
        return not STEPS.isdisjoint(runs.values()) or played - oldest >= (STEP_DAYS if turning else LOOK_DAYS)


@dataclass
class Show:
    """A running story; ``patience`` is how much longer than on the laptop its parts may take."""

    stage: Stage
    app: App
    teller: Teller
    replay: Replay
    lag_days: int = LAG_DAYS
    over: bool = False
    patience: float = 1.0
    pace: Pace = field(default_factory=Pace)

    def look(self) -> None:
        """Tell what is new, and let the replay go on unless the loop lags behind it."""
        self.teller.listen()
        (self.replay.free.clear if self._lags() else self.replay.free.set)()
        time.sleep(LOOK_SECONDS)

    def _lags(self) -> bool:
        stage = self.stage
        if sum(len(pending(stage.platform, stage.team, source)) for source in stage.sources) > self.lag_days:
            return True
        if self.over or not self.replay.played:
            return False
        found = self.app.dagster.runs(statuses=[status.value for status in IN_PROGRESS])
        runs = {run["runId"]: run["jobName"] for run in found}
        turning = any(cycle.state == "open" for cycle in cycles(stage.platform.ledger, stage.ref))
        looked_at = last_look(stage.platform, stage.team.name)
        return self.pace.waits(self.replay.played, looked_at, runs, turning=turning)

    def until(self, what: str, holds: Callable[[], bool], seconds: float) -> None:
        """Tell the ledger until something holds.

        Raises:
            StoreUnavailable: it did not hold in time, or the replay ended or broke before.
        """
        seconds *= self.patience
        give_up = time.monotonic() + seconds
        while not holds():
            self.look()
            if self.replay.trouble:
                raise self.replay.trouble
            if time.monotonic() > give_up or self.replay.done:
                why = "the data ended" if self.replay.done else f"{seconds:.0f} s passed"
                raise StoreUnavailable(f"{why} before {what}", f"read {self.app.home}/logs")
        self.teller.listen()
