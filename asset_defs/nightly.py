"""Factory of nightly daily-partitioned assets, with their job and schedule."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

import dagster as dg

from loopline.asset_defs.keys import key
from loopline.asset_defs.redacting import redacting
from loopline.platform_core.specs import Model, Team

if TYPE_CHECKING:
    from loopline.asset_defs.private.dagster_private import AssetJob


class Daily(Protocol):
    """What a model declares to have something made of its days."""

    @property
    def start(self) -> date:
        """Return the first day."""

    @property
    def wait_days(self) -> int:
        """Return how many days a day waits beyond its end."""


@dataclass(frozen=True)
class Nightly:
    """Assets of a ``stage``, one a model that declares them, made by one ``job`` of a team."""

    job: str
    stage: str
    cron: str
    description: str
    declared: Callable[[Model], Daily | None]
    mark: str = ""

    def days(self, team: Team) -> dg.DailyPartitionsDefinition:
        """Return the days that are made, from the first that any model declares: one job materializes them all."""
        start = min(daily.start for _, daily in self._declared(team))
        return dg.DailyPartitionsDefinition(start_date=datetime.combine(start, datetime.min.time()), timezone="UTC")

    def jobs(self, team: Team) -> "list[AssetJob]":
        """Build the job of all such assets of a team; none where no model declares any."""
        own = [key(team.name, self.stage, model.name) for model, _ in self._declared(team)]
        if not own:
            return []
        selected = dg.AssetSelection.assets(*own)
        return [dg.define_asset_job(self.job, selected, description=self.description, partitions_def=self.days(team))]

    def schedules(self, team: Team) -> list[dg.ScheduleDefinition]:
        """Build the schedule that asks, each night, for the day that every model has waited for."""
        declared = list(self._declared(team))
        if not declared:
            return []

        @dg.schedule(
            name=f"{self.job}_nightly",
            job_name=self.job,
            cron_schedule=self.cron,
            default_status=dg.DefaultScheduleStatus.RUNNING,
        )
        @redacting
        def nightly(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
            tonight = context.scheduled_execution_time.astimezone(UTC).date()
            for model, daily in declared:
                day = tonight - timedelta(days=1 + daily.wait_days)
                if day >= daily.start:
                    asked = [key(team.name, self.stage, model.name)]
                    yield dg.RunRequest(
                        run_key=f"{model.name}{self.mark}-{day}", partition_key=day.isoformat(), asset_selection=asked
                    )

        return [nightly]

    def _declared(self, team: Team) -> Iterator[tuple[Model, Daily]]:
        for model in team.models:
            daily = self.declared(model)
            if daily is not None:
                yield model, daily
