"""Assets of the scorecard: one a topic, computed together once an hour.

Numbers are in each materialization's metadata, so that Dagster plots them; the lake holds the whole history.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from loopline.asset_defs.keys import SCORECARD_JOB, key
from loopline.asset_defs.redacting import redacting
from loopline.asset_defs.runs.runs import tags_of_location
from loopline.platform_core import plugins
from loopline.platform_core.foundation.names import PLATFORM
from loopline.platform_core.platform import Platform
from loopline.scorecard.definitions import DEFINITIONS, TOPICS
from loopline.scorecard.figure import ORGANISATION, Figure, Measure

if TYPE_CHECKING:
    from loopline.asset_defs.private.dagster_private import AssetJob

HOURLY = "5 * * * *"
RUNS = "run_failure_rate"
SUCCESS, FAILURE = dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE
COLUMNS = ("scope", "figure", "value", "unit", "count", "how")


def scorecard_assets() -> dg.AssetsDefinition:
    """Build the assets: one function computes all topics, in one pass over the ledger."""

    @dg.multi_asset(
        name="scorecard",
        specs=[
            dg.AssetSpec(_key(topic), group_name="scorecard", description=says, kinds={"scorecard"})
            for topic, says in TOPICS.items()
        ],
    )
    @redacting
    def scorecard(
        context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
    ) -> Iterator[dg.MaterializeResult[None]]:
        from loopline.scorecard.compute import update  # NumPy and Arrow are not needed to draw the graph

        teams = plugins.installed().teams
        done = update(platform, teams, measured_runs(context.instance, [team.name for team in teams]))
        context.log.info("%s days computed, %s rows written", done.days, done.rows)
        for topic in TOPICS:
            yield dg.MaterializeResult(asset_key=_key(topic), metadata=_metadata(topic, done.figures))

    return scorecard


def scorecard_job() -> "AssetJob":
    """Build the job that computes the scorecard."""
    selected = dg.AssetSelection.assets(*(_key(topic) for topic in TOPICS))
    return dg.define_asset_job(SCORECARD_JOB, selected, description="Compute the scorecard: today, and what was missed")


def scorecard_schedule() -> dg.ScheduleDefinition:
    """Build its schedule; a run takes seconds, and writes only what changed."""
    return dg.ScheduleDefinition(
        name=f"{SCORECARD_JOB}_hourly",
        job_name=SCORECARD_JOB,
        cron_schedule=HOURLY,
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )


def measured_runs(instance: dg.DagsterInstance, teams: Sequence[str]) -> dict[str, dict[str, Measure]]:
    """Return the share of runs that failed, of all code locations and of each team's, as the figure's days say."""
    since = datetime.now(UTC) - timedelta(days=DEFINITIONS[RUNS].days)
    found = {}
    for scope in (ORGANISATION, *teams):
        tags = tags_of_location(scope)
        good, bad = (
            instance.get_runs_count(dg.RunsFilter(statuses=[status], tags=tags, created_after=since))
            for status in (SUCCESS, FAILURE)
        )
        ended = good + bad
        found[scope] = {RUNS: Measure(bad / ended, ended) if ended else Measure(None, 0, "no run has ended")}
    return found


def _key(topic: str) -> dg.AssetKey:
    return key(PLATFORM, "scorecard", topic)


def _metadata(topic: str, figures: Sequence[Figure]) -> Mapping[str, dg.MetadataValue | float]:
    """Give each number under its name, a team's behind the team's, and all with how they were computed as a table."""
    shown = [f for f in figures if DEFINITIONS[f.name].topic == topic and "/" not in f.scope]
    numbers = {f"{f.scope}: {f.name}" if f.scope else f.name: f.value for f in shown if f.value is not None}
    return {"figures": dg.MetadataValue.table([_record(figure) for figure in shown]), **numbers} if shown else numbers


def _record(figure: Figure) -> dg.TableRecord:
    value = f"none: {figure.reason}" if figure.value is None else f"{figure.value:.4g}"
    said = (figure.scope or "organisation", figure.name, value, figure.unit, figure.count, figure.how)
    return dg.TableRecord(dict(zip(COLUMNS, said, strict=True)))
