"""Sensor and schedules of ingestion: start a run when something has arrived."""

import time
from dataclasses import replace
from functools import cached_property

import dagster as dg

from loopline.asset_defs.keys import INGEST_JOB, SOURCE_TAG, key
from loopline.asset_defs.redacting import redacting
from loopline.asset_defs.runs.run_quota import with_room
from loopline.asset_defs.runs.runs import LOOK_SECONDS, in_progress_without, location_of_sensor, under_way
from loopline.asset_defs.sensors import source_state
from loopline.asset_defs.sensors.source_state import Behind, SourceState
from loopline.platform_core import alarms
from loopline.platform_core.alarms.debounce import pause
from loopline.platform_core.features.materialization import future_rows
from loopline.platform_core.features.registry.watermarks import progress
from loopline.platform_core.foundation.names import ModelRef, raw_table, view_name
from loopline.platform_core.ingestion.landing import pending
from loopline.platform_core.ingestion.letters.refusals import Refusals, refusals_of_team
from loopline.platform_core.platform import Platform
from loopline.platform_core.redaction import redacted
from loopline.platform_core.specs import FeatureView, Source, Team
from loopline.platform_core.specs.contracts.source import STREAM

CRON = {"daily": "15 3 * * *", "hourly": "15 * * * *"}
BEHIND_SECONDS = 30.0
"""How long features may be behind raw rows before a run is requested for them: whoever landed may be at it."""
TICK_SECONDS = 20.0
"""After so long no further source is asked in this tick, for Dagster ends one that takes a minute."""


def ingested_keys(team: Team, source: Source) -> list[dg.AssetKey]:
    """Name the source's raw rows, dead letters and every view on them."""
    stages = [("raw", source.name), ("dead_letters", source.name)]
    return [key(team.name, stage, name) for stage, name in stages] + _view_keys(team, _views(team, source))


def ingest_sensor(team: Team) -> dg.SensorDefinition:
    """Build the sensor that lands whatever is pending, one run a source at a time; and brings features up."""

    @dg.sensor(
        name="loopline_ingest_sensor",
        job_name=INGEST_JOB,
        minimum_interval_seconds=LOOK_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Lands arrivals that are not in the lake yet, and makes features that a run left behind",
    )
    @redacting
    def arrivals(context: dg.SensorEvaluationContext, platform: dg.ResourceParam[Platform]) -> dg.SensorResult:
        look = _Look(context, platform, team, source_state.read(context.cursor, _names(team)))
        requests, why = with_room(context.instance, platform, look.all(known=context.cursor is not None))
        said = None if requests else redacted("; ".join([*why, *look.problems])) or "nothing new has arrived"
        return dg.SensorResult(run_requests=requests, skip_reason=said, cursor=source_state.write(look.states))

    return arrivals


class _Look:
    """One tick: every source is asked by itself, so that one that cannot be asked holds up no other."""

    def __init__(
        self, context: dg.SensorEvaluationContext, platform: Platform, team: Team, states: dict[str, SourceState]
    ) -> None:
        self.context, self.platform, self.team, self.states = context, platform, team, states
        self.problems: list[str] = []
        self.busy: frozenset[str] = frozenset()

    def all(self, *, known: bool) -> list[dg.RunRequest]:
        """Ask the sources, those in trouble last and more and more seldom; return the runs that they need."""
        requests, begun = [], time.monotonic()
        self.busy = under_way(self.context.instance, INGEST_JOB, SOURCE_TAG, location_of_sensor(self.context))
        for source in sorted(self.team.sources, key=lambda source: self.states[source.name].failures):
            if self.states[source.name].waits(time.time()):
                self.problems.append(f"source {source.name} could not be asked and is left alone for a while")
            elif time.monotonic() - begun < TICK_SECONDS:
                requests += self._run_requests(source, known=known)
        return requests

    def _run_requests(self, source: Source, *, known: bool) -> list[dg.RunRequest]:
        try:
            requests = self._requests(source)
        except Exception as error:  # noqa: BLE001 - whatever it is, other sources go on
            self._failed(source, error)
            return []
        state = self.states[source.name]
        if state.failures or not known:  # a sensor without memory may have raised it
            alarms.clear(self.platform, self._cause(source), "the source can be asked again")
        self.states[source.name] = state.answered()
        return requests

    def _requests(self, source: Source) -> list[dg.RunRequest]:
        tags = {SOURCE_TAG: f"{self.team.name}/{source.name}"}
        if tags[SOURCE_TAG] in self.busy:
            return []
        refused = self._refused.get(source.name, Refusals())
        if pending(self.platform, self.team, source, limit=1, refused=refused):
            return [dg.RunRequest(tags=tags, asset_selection=ingested_keys(self.team, source))]
        late = self._late_views(source)
        return [dg.RunRequest(tags=tags, asset_selection=_view_keys(self.team, late))] if late else []

    @cached_property
    def _refused(self) -> dict[str, Refusals]:
        """Read the refused files of all sources once a tick: a question for each source was most of a quiet look."""
        return refusals_of_team(self.platform.ledger, self.team.name)

    def _late_views(self, source: Source) -> list[FeatureView]:
        """Find views that a run which ended early left behind, or of which rows waited until now.

        They are asked for again more and more seldom while it fails.
        """
        views, state, now = _views(self.team, source), self.states[source.name], time.time()
        version = self.platform.lake.version(raw_table(self.team.name, source.name))
        mark = f"{version} {' '.join(map(view_name, views))}"
        if version is None or mark == state.followed:
            return []
        late = [view for view in views if self._is_late(view)]
        if not late:
            state = replace(state, followed="" if self._any_waits(views) else mark, behind=Behind())
        elif mark != state.behind.mark:
            state = replace(state, behind=Behind(mark, 0, now + BEHIND_SECONDS))
        is_due = bool(late) and not state.behind.waits(now, BEHIND_SECONDS) and not self._is_at_all()
        if is_due:
            requests = state.behind.requests + 1
            state = replace(state, behind=Behind(mark, requests, now + pause(requests).total_seconds()))
        self.states[source.name] = state
        return late if is_due else []

    def _is_at_all(self) -> bool:
        """Say whether a run that a schedule or a person started lands every source, and makes its features."""
        return in_progress_without(self.context.instance, INGEST_JOB, SOURCE_TAG, location_of_sensor(self.context))

    def _is_late(self, view: FeatureView) -> bool:
        come = progress(self.platform, self.team, view)
        return not come.nothing_new or future_rows.due(self.platform, self.team, view, come) is not None

    def _any_waits(self, views: list[FeatureView]) -> bool:
        """Say whether rows of a view wait for their time: then it is asked for at each tick."""
        return any(progress(self.platform, self.team, view).waits for view in views)

    def _failed(self, source: Source, error: Exception) -> None:
        now, where = time.time(), f"{self.team.name}/{source.name}"
        state = self.states[source.name] = self.states[source.name].failed(now)
        problem = f"source {where} cannot be asked what has arrived: {getattr(error, 'problem', repr(error))}"
        self.problems.append(problem)
        if state.is_alarming(error, now):
            fix = getattr(error, "fix", "look at the sensor's ticks in Dagster; nothing of the source lands meanwhile")
            alarm = alarms.Alarm(self._cause(source), "error", problem, fix, ModelRef(self.team.name, ""))
            try:
                alarms.raise_alarm(self.platform, alarm)
            except Exception as unheard:  # noqa: BLE001 - a ledger that is busy must not cost other sources their run
                self.problems.append(f"the alarm of it could not be raised: {unheard}")

    def _cause(self, source: Source) -> str:
        return f"source:{self.team.name}/{source.name}"


def _names(team: Team) -> list[str]:
    return [source.name for source in team.sources]


def _views(team: Team, source: Source) -> list[FeatureView]:
    return [view for view in team.views if view.source.name == source.name]


def _view_keys(team: Team, views: list[FeatureView]) -> list[dg.AssetKey]:
    return [key(team.name, "features", view_name(view)) for view in views]


def ingest_schedules(team: Team) -> list[dg.ScheduleDefinition]:
    """Build one schedule for each rhythm in which the team's files arrive; of streams the sensor sees the lag."""
    rhythms = sorted({source.arrives for source in team.sources} - {STREAM})
    return [
        dg.ScheduleDefinition(
            name=f"loopline_ingest_{rhythm}",
            job_name=INGEST_JOB,
            cron_schedule=CRON.get(rhythm, CRON["daily"]),
            default_status=dg.DefaultScheduleStatus.RUNNING,
        )
        for rhythm in rhythms
    ]
