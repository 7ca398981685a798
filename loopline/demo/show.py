"""A running story: the ledger is told as it grows, and the replay goes on as fast as landing follows."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loopline.platform_core.errors import StoreUnavailable
from loopline.platform_core.ingestion.landing import pending

if TYPE_CHECKING:
    from collections.abc import Callable

    from loopline.demo.replay import Replay
    from loopline.demo.stage import Stage
    from loopline.demo.teller import Teller
    from loopline.up.app import App

LAG_DAYS = 31
"""The replay waits when more files than this have not landed, so that features online stay fresh."""
LOOK_SECONDS = 0.5
"""How often the ledger and the landing folder are looked at: each look costs what the loop could use."""
SLOW_PACE = 1.5
"""With fewer days left than the story says, and it not over, a slow machine gets time: days a second."""
SLOWEST = 0.05
"""Of that pace, with hardly any days left."""


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

    def look(self) -> None:
        """Tell what is new, and let the replay go on unless landing lags behind it."""
        stage = self.stage
        self.teller.listen()
        lag = sum(len(pending(stage.platform, stage.team, source)) for source in stage.sources)
        (self.replay.free.set if lag <= self.lag_days else self.replay.free.clear)()
        left = self.replay.days_left
        if not self.over and 0 < left < stage.story.slow_days:
            self.replay.days_per_second = SLOW_PACE * pace_left(left, stage.story.slow_days) / self.patience
        time.sleep(LOOK_SECONDS)

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


def pace_left(left: int, slow_days: int) -> float:
    """Return the part of the slow pace at which so many days are left: from half of the slow days on, less and less."""
    return min(1.0, max(SLOWEST, 2 * left / slow_days))
