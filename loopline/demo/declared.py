"""Declaration of a demo story: a team's files by day, requests, and a deliberate mistake.

A team's package names its stories as entry points of the group ``loopline.demos``; ``loopline demo NAME`` tells one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock_time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Team

ARRIVES = clock_time(2)
"""When a day's file is there, the next morning (UTC)."""


@dataclass(frozen=True)
class Day:
    """The file of one day: ``content`` is CSV, a header and ``lines`` lines.

    ``source`` is the team's source that it is of: where it is not said, that of the model's labels. ``more`` are files
    of other sources, which arrive at the same moment.
    """

    date: date
    content: bytes
    lines: int
    source: str = ""
    more: tuple[Day, ...] = ()

    @property
    def name(self) -> str:
        """Name the file."""
        return f"{self.source or 'rows'}-{self.date}.csv"

    @property
    def arrives_at(self) -> datetime:
        """Return when the file is there."""
        return datetime.combine(self.date + timedelta(days=1), ARRIVES, UTC)


@dataclass(frozen=True)
class Request:
    """A question of one row: its ``keys`` by entity, and the ``features`` that only the asker knows.

    A feature is a number, a text, true or false, or a list of numbers: a vector.
    """

    request_id: str
    event_time: datetime
    keys: Mapping[str, object]
    features: Mapping[str, Any] = field(default_factory=dict)


Asks = Callable[["Platform", "Team", Sequence[Day]], Mapping[date, Sequence[Request]]]
"""Gives each day's requests in order of time."""
Picture = Callable[["pa.Table"], Iterable[str]]
"""Makes lines of text of the answered rows whose label came, as the lake holds them: ``version``, ``role``, ``score``,
``label``, ``event_time``, and ``raw`` where a model returns several numbers a row."""


@dataclass(frozen=True)
class Story:
    """A model's way through the loop, from the first training to a bad candidate that is taken back.

    ``days`` gives the daily files, oldest first: those before ``go_live`` have landed when the first model is trained.
    That the world changes, so that the model drifts, is in the files. ``drill`` multiplies features of the training
    rows of a candidate, and ``mistake`` says it in words: 0 leaves a number at 0, and a text empty.
    """

    team: str
    model: str
    about: str
    days: Callable[[Team], Iterable[Day]]
    go_live: date
    drill: Mapping[str, float]
    mistake: str
    asks: Asks | None = None
    """What is asked; where it is None, all that a view that is served on request makes of a day's file."""
    rows: str = "rows"
    """What lines of files are called at the end."""
    dead_letters: bool = False
    """Whether some lines break their contract, so that the story is not whole without dead letters."""
    days_per_second: float = 7.0
    as_of: tuple[datetime, ...] = ()
    """Moments of which training sets are hashed, where a run is to be like another one."""
    picture: Picture | None = None
