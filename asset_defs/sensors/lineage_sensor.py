"""Sensor that reports runs to the lineage backend, where the environment binds one."""

from collections.abc import Iterator

import dagster as dg

from loopline.asset_defs.lineage_events import RunStory
from loopline.asset_defs.private.dagster_private import location_of
from loopline.asset_defs.redacting import redacting
from loopline.platform_core.contracts.lineage import Happened, RunEvent
from loopline.platform_core.observability.columns import Columns
from loopline.platform_core.platform import Platform
from loopline.platform_core.specs import Team

EVERY_SECONDS = 15
AT_ONCE = 40
"""Changes of runs in one tick, at most."""
EVENT_TYPES: dict[dg.DagsterEventType, Happened] = {
    dg.DagsterEventType.RUN_START: "START",
    dg.DagsterEventType.RUN_SUCCESS: "COMPLETE",
    dg.DagsterEventType.RUN_FAILURE: "FAIL",
    dg.DagsterEventType.RUN_CANCELED: "ABORT",
}


def lineage_sensor(team: Team) -> dg.SensorDefinition:
    """Build the sensor that tells the runs of a team, each change once, in Dagster's own order.

    The cursor moves on once the receiver has everything: after a crash some is told again, in the same words.
    """

    @dg.sensor(
        name="loopline_lineage_sensor",
        minimum_interval_seconds=EVERY_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Tells what made what to the lineage that the environment binds",
    )
    @redacting
    def lineage(context: dg.SensorEvaluationContext, platform: dg.ResourceParam[Platform]) -> dg.SensorResult:
        changes = _changes(context.instance, int(context.cursor or 0))
        events = [event for change in changes for event in _events(context, platform, team, change)]
        if events:
            platform.lineage.emit(events)
        cursor = str(changes[-1].storage_id) if changes else context.cursor
        return dg.SensorResult(cursor=cursor, skip_reason=f"{len(events)} events of {len(changes)} changes were told")

    return lineage


def _changes(instance: dg.DagsterInstance, after: int) -> list[dg.EventLogRecord]:
    """Return the oldest changes of runs behind a storage id."""
    found: list[dg.EventLogRecord] = []
    for kind in EVENT_TYPES:
        newer = dg.RunStatusChangeRecordsFilter(event_type=kind, after_storage_id=after)  # type: ignore[arg-type]
        found += instance.fetch_run_status_changes(newer, limit=AT_ONCE, ascending=True).records
    return sorted(found, key=lambda record: record.storage_id)[:AT_ONCE]


def _events(
    context: dg.SensorEvaluationContext, platform: Platform, team: Team, change: dg.EventLogRecord
) -> Iterator[RunEvent]:
    run = context.instance.get_run_by_id(change.run_id)
    if run is None or not _of(team, location_of(run)):
        return
    assert context.repository_def is not None
    story = RunStory(context.instance, run, team.name, context.repository_def.asset_graph, Columns(platform, team))
    what = EVENT_TYPES[change.event_log_entry.get_dagster_event().event_type]
    yield from story.started(change.timestamp) if what == "START" else story.ended(what, change.timestamp)


def _of(team: Team, location: str | None) -> bool:
    """Say whether a run is of the team's code location; one in this process may be anybody's, its assets say whose."""
    return location is None or location.endswith(f"@{team.name}")
