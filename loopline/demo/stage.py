"""What stands on the stage: a fresh home, the platform, the team, and the files of two years."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from datetime import time as clock_time
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, cast

from loopline import shipped
from loopline.demo import days as history
from loopline.demo.replay import Script
from loopline.platform_core import plugins
from loopline.platform_core.errors import InvalidEnvironment, Refused
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.platform import Platform

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from loopline.demo.days import Day
    from loopline.platform_core.foundation.clock import ReplayClock
    from loopline.platform_core.specs import Model, Source, Team

ENVIRONMENT = Path(__file__).with_name("environment.yaml")
REF = ModelRef("retail", "cancellations")
MARK = ".loopline-demo"


@dataclass(frozen=True)
class Stage:
    """The platform on the data's own clock, and the team whose orders are replayed."""

    platform: Platform
    team: Team
    days: Sequence[Day]

    @property
    def model(self) -> Model:
        """Return the model of the story."""
        return self.team.model(REF.model)

    @property
    def source(self) -> Source:
        """Return the source whose files are replayed."""
        return self.model.labels.source

    @property
    def clock(self) -> ReplayClock:
        """Return the clock that the replay moves."""
        return cast("ReplayClock", self.platform.clock)

    def land(self, day: Day) -> None:
        """Drop a day's file, whole at once, with the time at which it arrived."""
        source = f"{REF.team}/{self.source.name}"
        self.platform.event_source.lay(source, day.name, day.content, day.arrives_at)

    def script(self, first: date, last: date | None) -> Script:
        """Return what happens from one day to another."""
        chosen = [day for day in self.days if day.date >= first and (last is None or day.date <= last)]
        return Script(chosen, history.orders(self.platform, self.team, chosen), self.land)


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


def bring_team(home: Path) -> None:
    """Let this process and its children find the demo's team where nobody installed it: a wheel carries it along."""
    teams = shipped.demo_teams()
    if teams is None or REF.team in {point.name for point in entry_points(group=plugins.TEAMS)}:
        return
    about = home / "teams" / f"loopline_{REF.team}-0.dist-info"  # as an installation would leave it
    about.mkdir(parents=True)
    about.joinpath("METADATA").write_text(f"Metadata-Version: 2.1\nName: loopline-{REF.team}\nVersion: 0\n")
    about.joinpath("entry_points.txt").write_text(f"[{plugins.TEAMS}]\n{REF.team} = {REF.team}:team\n")
    places = [str(about.parent), str(teams)]
    sys.path[:0] = places
    inherited = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([*places, *([inherited] if inherited else [])])


def open_stage(home: Path, environment: Path | None = None) -> Stage:
    """Bind the platform in a home, to the laptop's vendors or another environment's, and read the team's two years.

    Raises:
        InvalidEnvironment: that environment has a clock of its own. Refused: its lake holds tables already.
    """
    file = environment or ENVIRONMENT
    os.environ |= {"LOOPLINE_HOME": str(home), "LOOPLINE_ENVIRONMENT": str(file)}
    bring_team(home)
    team = plugins.installed(only=[REF.team]).team(REF.team)
    platform = Platform.open(file)
    if environment is not None:
        _refuse_what_is_used(platform)
    days = list(history.days(team.folder / "data" / "online_retail.csv.xz"))
    return Stage(platform, team, days)


def _refuse_what_is_used(platform: Platform) -> None:
    """Two years are replayed only where nobody works: on a clock of the replay's, into a lake without tables."""
    bound = platform.environment
    if bound.clock is None:
        raise InvalidEnvironment(
            f"{bound.path} has no replay clock, so that two years of another shop would be landed as of today",
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
