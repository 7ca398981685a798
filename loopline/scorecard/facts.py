"""Facts that the scorecard counts (rollouts, cycles, events), from the ledger."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import Any


@dataclass
class RolloutFact:
    """A rollout; times are seconds since 1970 by the platform's clock, ``inf`` for what has not happened.

    ``met`` is when callers first met the version, ``back`` when it was taken back, at once or after its promotion;
    ``restored`` is how many seconds of the wall's clock later everybody was answered by the stable version again.
    """

    team: str
    model: str
    version: str
    started: float
    drill: bool
    met: float = inf
    promoted: float = inf
    back: float = inf
    restored: float | None = None
    restored_at: float = inf


@dataclass(frozen=True)
class CycleFact:
    """A promoted cycle: when it closed, how long it had taken, in seconds, and whether a drift alarm opened it."""

    team: str
    closed: float
    seconds: float
    drift: bool


@dataclass(frozen=True)
class Event:
    """Something that is counted or summed: whose it is, when, and its figures."""

    team: str
    model: str
    at: float
    figures: Any = None


@dataclass
class Facts:
    """Everything counted; ``first`` is a team's first entry. Lists are in the order in which things were recorded."""

    rollouts: list[RolloutFact] = field(default_factory=list)
    cycles: list[CycleFact] = field(default_factory=list)
    skews: list[Event] = field(default_factory=list)
    trainings: list[Event] = field(default_factory=list)
    watched: list[Event] = field(default_factory=list)
    first: dict[str, float] = field(default_factory=dict)

    @property
    def teams(self) -> list[str]:
        """Return every team that the ledger knows."""
        return sorted(self.first)
