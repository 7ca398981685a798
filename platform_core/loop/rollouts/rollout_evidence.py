"""Evidence of a rollout's step: traffic, labels, estimates, pauses and skew, gathered once for the decision."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from loopline.platform_core.contracts.serving import SHADOW
from loopline.platform_core.loop.deployments import deployments
from loopline.platform_core.loop.rollouts import arrival, estimates, experiments, pauses, realised, skews, traffic
from loopline.platform_core.loop.rollouts.step_log import StepLog
from loopline.platform_core.loop.rollouts.traffic import Sides
from loopline.platform_core.specs.judges.business_hours import business_hours

if TYPE_CHECKING:
    from datetime import datetime

    from loopline.platform_core.contracts.serving import Served
    from loopline.platform_core.loop.deployments.deployments import Deployment
    from loopline.platform_core.loop.rollouts.rollout_table import RolloutRecord
    from loopline.platform_core.loop.rollouts.traffic import Compared
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs.model import Model, Rollout


@dataclass(frozen=True)
class Judging:
    """A rollout's record and its model's rule, what is ``live`` beside it (None: nothing ever was), and the moment."""

    platform: Platform
    model: Model
    record: RolloutRecord
    live: Deployment | None
    now: datetime

    @classmethod
    def of(cls, platform: Platform, model: Model, record: RolloutRecord, now: datetime) -> Judging:
        """Look up what is live, and at which split an experiment keeps the rollout."""
        model = experiments.with_split(platform.ledger, record, model)
        return cls(platform, model, record, deployments.deployment(platform.ledger, record.ref), now)

    @property
    def rule(self) -> Rollout:
        """Return the rule of now: a model may have changed since its rollout began."""
        return self.model.rollout

    @property
    def stable(self) -> Served | None:
        """Return the version that callers had before."""
        return self.live.stable if self.live else None

    @property
    def is_baked(self) -> bool:
        """Say whether the step has had its bake time."""
        return self.now >= self.baked_at()

    def baked_at(self, times: float = 1) -> datetime:
        """Return when so many bake times of the step are over."""
        return self.record.step_started_at + times * timedelta(minutes=self.rule.bake_minutes)

    @property
    def is_to_be_watched(self) -> bool:
        """Say whether the version before goes on as a shadow after the promotion."""
        return self.rule.watch_hours > 0 and self.stable is not None

    @property
    def watched_until(self) -> datetime:
        """Return when the watch of a promoted version ends, by the rule of now."""
        return self.record.step_started_at + timedelta(hours=self.rule.watch_hours)

    @property
    def end_of_log(self) -> str:
        """Return the cursor behind all that is logged by now."""
        return self.platform.serving.end(self.record.ref.dotted, self.record.cursor)

    def blocked(self) -> str:
        """Say what keeps the rollout from going on, though nothing is wrong with it; "" for nothing."""
        stopped = pauses.stopped(self.platform.ledger, self.record)
        if stopped:
            return stopped
        hours = self.rule.hours and business_hours(self.rule.hours)
        if hours and not hours.contain(self.now):
            return f"outside its hours until {hours.next_opening(self.now):%Y-%m-%d %H:%M} UTC"
        skewed = skews.standing(self.platform.ledger, self.record.ref, self.record.version)
        return skewed or arrival.awaited(self.platform, self.record)

    def patience_ended(self) -> bool:
        """Say whether a doubt has had its time; a rollout that persons keep where it is ends by proven harm alone."""
        end = self.baked_at(self.rule.patience)
        if self.now < end or pauses.stopped(self.platform.ledger, self.record):
            return False
        return self.now >= end + pauses.paused(self.platform.ledger, self.record, self.now)

    def compared(self, stable: Served) -> Compared:
        """Read what the candidate answered, beside what the ``stable`` version did, with labels where a judge asks."""
        record, serving = self.record, self.platform.serving
        sides = Sides(
            versions=(record.version, stable.version),
            enough=self.rule.min_requests,
            in_shadow=record.in_shadow,
            paired=SHADOW in serving.abilities(record.ref.dotted),
        )
        rows, cursor = StepLog.of(self.platform).read(serving, record.ref.dotted, record.cursor)
        compared = self._estimated(traffic.compare(rows, cursor, sides))
        compared = replace(compared, candidate=replace(compared.candidate, target=self.model.target))
        if not any(judge.needs_labels for judge in self.rule.judges):
            return compared
        lake, width = self.platform.lake, self.model.target.width
        labelled = realised.of(lake, record.ref, sides.versions, record.started_at, shadow=sides.in_shadow, width=width)
        return traffic.with_labels(compared, labelled)

    def _estimated(self, compared: Compared) -> Compared:
        """Add what the quality monitor estimated of the candidate, where a judge asks for it."""
        if not any(judge.needs_estimates for judge in self.rule.judges):
            return compared
        record = self.record
        found = estimates.newest(self.platform.ledger, record.ref, record.version, record.started_at)
        return replace(compared, candidate=replace(compared.candidate, estimates=found))
