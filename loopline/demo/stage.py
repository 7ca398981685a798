"""Setup of a demo run: a fresh home, the platform, the team, and its files by day."""

from __future__ import annotations

import multiprocessing
import os
import shutil
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from datetime import time as clock_time
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from loopline.demo import found
from loopline.demo.days import asked
from loopline.demo.replay import Script
from loopline.platform_core import plugins
from loopline.platform_core.errors import InvalidEnvironment, Refused
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.platform import Platform

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import date

    from loopline.demo.declared import Day, Request, Story
    from loopline.platform_core.foundation.clock import ReplayClock
    from loopline.platform_core.specs import Model, Source, Team

ENVIRONMENT = Path(__file__).with_name("environment.yaml")
MARK = ".loopline-demo"
T = TypeVar("T")


@dataclass(frozen=True)
class Stage:
    """The platform on the data's own clock, the team whose files are replayed, and the story, by its ``name``."""

    platform: Platform
    team: Team
    days: Sequence[Day]
    story: Story
    name: str

    @property
    def ref(self) -> ModelRef:
        """Return the reference of the story's model."""
        return ModelRef(self.team.name, self.story.model)

    @property
    def model(self) -> Model:
        """Return the model of the story."""
        return self.team.model(self.story.model)

    @property
    def source(self) -> Source:
        """Return the source of the model's labels."""
        return self.model.labels.source

    @property
    def sources(self) -> tuple[Source, ...]:
        """Return what the story's model is made of: sources of its labels and of its features."""
        every = (self.source, *(view.source for view in self.model.features))
        return tuple({source.name: source for source in every}.values())

    @property
    def clock(self) -> ReplayClock:
        """Return the clock that the replay moves."""
        return cast("ReplayClock", self.platform.clock)

    def land(self, day: Day) -> None:
        """Drop a day's files, each whole at once, with the time at which they arrived."""
        for file in (day, *day.more):
            source = f"{self.team.name}/{file.source or self.source.name}"
            self.platform.event_source.lay(source, file.name, file.content, file.arrives_at)

    def script(self, first: date, last: date | None) -> Script:
        """Return what happens from one day to another."""
        return Script(self._chosen(first, last), apart(Stage.requests, self.name, first, last), self.land)

    def requests(self, first: date, last: date | None) -> Mapping[date, Sequence[Request]]:
        """Return what is asked on each day."""
        chosen, asks = self._chosen(first, last), self.story.asks
        return asks(self.platform, self.team, chosen) if asks else asked(self.platform, self.team, self.model, chosen)

    def _chosen(self, first: date, last: date | None) -> list[Day]:
        return [day for day in self.days if day.date >= first and (last is None or day.date <= last)]


def apart(function: Callable[..., T], name: str, *arguments: object) -> T:
    """Call a function of a stage, and of what can be pickled, in a process of its own; return what it returns.

    What reads many rows holds hundreds of MB until its process ends, and the demo's may stay for days (``--keep``).
    """
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_on_stage, function, name, *arguments).result()


def _on_stage(function: Callable[..., T], name: str, *arguments: object) -> T:
    """Set the stage of the parent again, by what ``open_stage`` left in the environment."""
    stage = _stage(name)
    try:
        return function(stage, *arguments)
    finally:
        stage.platform.close()


def fresh_home(parent: Path) -> Path:
    """Make the demo's own folder anew; a folder that is not the demo's is left alone.

    Raises:
        FileExistsError: something else stands there.
    """
    home = parent / "demo"
    if home.exists() and not (home / MARK).exists():
        raise FileExistsError(f"{home} is not the demo's: move it, or set LOOPLINE_HOME")
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    (home / MARK).touch()
    return home


def open_stage(home: Path, name: str, environment: Path | None = None) -> Stage:
    """Bind the platform in a home, to the laptop's vendors or another environment's, and read a story's files.

    Of all teams that are installed only the story's runs.

    Raises:
        InvalidEnvironment: that environment has a clock of its own. Refused: its lake holds tables already.
    """
    file = environment or ENVIRONMENT
    os.environ |= {"LOOPLINE_HOME": str(home), "LOOPLINE_ENVIRONMENT": str(file), plugins.ONLY: found.story(name).team}
    stage = _stage(name)
    if environment is not None:
        _refuse_what_is_used(stage.platform)
    return stage


def _stage(name: str) -> Stage:
    story = found.story(name)
    team = plugins.installed(only=[story.team]).team(story.team)
    platform = Platform.open(Path(os.environ["LOOPLINE_ENVIRONMENT"]))
    return Stage(platform, team, list(story.days(team)), story, name)


def _refuse_what_is_used(platform: Platform) -> None:
    """History is replayed only where nobody works: on a clock of the replay's, into a lake without tables."""
    bound = platform.environment
    if bound.clock is None:
        raise InvalidEnvironment(
            f"{bound.path} has no replay clock, so that years of others would be landed as of today",
            "give the demo stores of its own, and 'clock: {replay: <path>}'",
        )
    if tables := platform.lake.tables():
        raise Refused(f"the lake of {bound.path} holds {len(tables)} tables already", "name an empty place for it")


def history_lands(stage: Stage, until: date) -> int:
    """Drop the files of all days before ``until`` and set the clock to its morning; returns how many."""
    known = [day for day in stage.days if day.date < until]
    for day in known:
        stage.land(day)
    stage.clock.set(datetime.combine(until, clock_time(6), UTC))
    return len(known)
