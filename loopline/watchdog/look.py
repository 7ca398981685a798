"""Interface of watchdog checks: the alarms found, and time limits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from loopline.platform_core.alarms.alarm import Alarm


@dataclass(frozen=True)
class Bounds:
    """From when on something is wrong, in seconds.

    ``patience``: what mends itself sooner is no alarm (programs are started again within seconds). ``heartbeat``:
    Dagster's daemons write one every 30 s. ``silence`` is added to five intervals of a sensor. ``stale``: drift behind
    its predictions. ``queued``, ``run`` and ``training``: how long a run may wait, work, and train.
    """

    patience: float = 30
    heartbeat: float = 120
    silence: float = 120
    stale: float = 3600
    queued: float = 1800
    run: float = 3600
    training: float = 24 * 3600
    recent: timedelta = timedelta(days=7)


@dataclass(frozen=True)
class Looked:
    """The alarms that a look found, and the causes of which it could not tell: those stay as they are."""

    alarms: tuple[Alarm, ...] = ()
    unknown: frozenset[str] = frozenset()
    blind: tuple[str, ...] = ()
    """Beginnings of causes of which it could not tell either."""

    def leaves(self, cause: str) -> bool:
        """Say whether a cause that was not found may stand all the same."""
        return cause in self.unknown or cause.startswith(self.blind)


@dataclass(frozen=True)
class Look:
    """A look at one thing: every standing cause that begins with one of ``owns`` and is not found again is over.

    ``patient`` waits before it alarms; ``every`` is in rounds, for what costs Dagster more to answer: where there is
    so much to see that it takes seconds, it comes less often still.
    """

    name: str
    at: Callable[[], Looked]
    owns: tuple[str, ...]
    patient: bool = True
    every: int = 1
