"""Definitions of the scorecard's figures: unit, time window and formula."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Topic = Literal["delivery", "service", "cost", "reuse"]
TOPICS: dict[Topic, str] = {
    "delivery": "How fast and how safely models change",
    "service": "How well endpoints answer",
    "cost": "What training and answering use and cost",
    "reuse": "What more than one team uses",
}
QUARTER_DAYS = 91
"""Thirteen whole weeks: long enough for the few promotions that a model has."""
MONTH_DAYS = 28
"""Four whole weeks, as rolling windows of service level objectives usually are: each holds as many weekends."""


@dataclass(frozen=True)
class Definition:
    """What a figure is. ``better`` says in which direction it is good; "" where that depends."""

    name: str
    title: str
    topic: Topic
    unit: str
    better: Literal["lower", "higher", ""]
    days: int
    computation: str

    @property
    def how(self) -> str:
        """Say how it is computed."""
        return f"{self.computation} (the last {self.days} days)" if self.days else self.computation


_ALL = (
    Definition(
        "lead_time_median", "Lead time, median", "delivery", "hours", "lower", QUARTER_DAYS,
        "from the change (the instant given when the cycle was opened, else its opening) to its promotion: median of "
        "the cycles promoted; DORA's change lead time",
    ),
    Definition(
        "lead_time_p90", "Lead time, 90th percentile", "delivery", "hours", "lower", QUARTER_DAYS,
        "as lead_time_median: nine of ten promoted cycles took no longer (linear between neighbours)",
    ),
    Definition(
        "deployments_a_week", "Promotions a week", "delivery", "promotions/week", "higher", QUARTER_DAYS,
        "rollouts promoted, divided by the weeks since the scope's first entry in the ledger (1 at least, 13 at most); "
        "DORA's deployment frequency",
    ),
    Definition(
        "change_failure_rate", "Change-failure rate", "delivery", "share", "lower", QUARTER_DAYS,
        "of the rollouts started, those that callers met and that were rolled back, then or after their promotion; "
        "DORA's change fail rate",
    ),
    Definition(
        "rollback_rate", "Rollback rate", "delivery", "share", "lower", QUARTER_DAYS,
        "of the rollouts started, all that were taken back: also from the shadow, where no caller met them",
    ),
    Definition(
        "recovery_time_median", "Failed-deployment recovery, median", "delivery", "minutes", "lower", QUARTER_DAYS,
        "from the instant in which callers first met a version that failed to the decision to take it back: median; "
        "DORA's failed deployment recovery time",
    ),
    Definition(
        "restore_time_median", "Time to restore, median", "delivery", "seconds", "lower", QUARTER_DAYS,
        "from the decision to take a version back to the stable version answering everybody, by the wall's clock, as "
        "the monitor's sensor saw it (every few seconds): median",
    ),
    Definition(
        "drift_recovery_median", "Recovery from drift, median", "delivery", "hours", "lower", QUARTER_DAYS,
        "from the drift alarm that opened a cycle to the promotion of its version: median of those promoted",
    ),
    Definition(
        "drills_caught", "Drills taken back", "delivery", "share", "higher", QUARTER_DAYS,
        "of the drills (a mistake on purpose) whose rollout has ended, those that were taken back; drills count in no "
        "other figure of delivery",
    ),
    Definition(
        "skew_incidents", "Skew incidents", "service", "incidents", "lower", QUARTER_DAYS,
        "times a version's skew check failed when its check before had not",
    ),
    Definition(
        "latency_p95", "Latency, 95th percentile", "service", "ms", "lower", MONTH_DAYS,
        "of the requests in the compacted prediction log, by counts in buckets 4 % wide (2 % off at most)",
    ),
    Definition(
        "latency_p99", "Latency, 99th percentile", "service", "ms", "lower", MONTH_DAYS,
        "as latency_p95, of 99 in 100 requests",
    ),
    Definition(
        "error_rate", "Errors", "service", "share", "lower", MONTH_DAYS,
        "requests that failed by the server's or the model's fault (status 500 and above), of all but those that the "
        "caller got wrong",
    ),
    Definition(
        "uptime", "Uptime", "service", "share", "higher", MONTH_DAYS,
        "seconds in which the endpoint was ready, of those in which the monitor's sensor watched it; time that nobody "
        "watched counts neither way",
    ),
    Definition(
        "slo_p95", "Models within their p95", "service", "share", "higher", MONTH_DAYS,
        "of the models asked, those whose 95th percentile is within `Slo.p95_ms`",
    ),
    Definition(
        "slo_p99", "Models within their p99", "service", "share", "higher", MONTH_DAYS,
        "of the models asked, those whose 99th percentile is within `Slo.p99_ms`",
    ),
    Definition(
        "slo_errors", "Models within their errors", "service", "share", "higher", MONTH_DAYS,
        "of the models asked, those whose share of errors is within `Slo.errors`",
    ),
    Definition(
        "slo_uptime", "Models within their uptime", "service", "share", "higher", MONTH_DAYS,
        "of the models watched, those whose uptime is at least `Slo.uptime`",
    ),
    Definition(
        "slo_met", "Models that keep their objectives", "service", "share", "higher", MONTH_DAYS,
        "of the models asked, those within all of their objectives that could be measured",
    ),
    Definition(
        "run_failure_rate", "Failed runs", "service", "share", "lower", MONTH_DAYS,
        "Dagster's runs that failed, of those that ended, by the wall's clock",
    ),
    Definition(
        "training_cpu_utilisation", "CPU used by trainings", "cost", "share", "", QUARTER_DAYS,
        "CPU seconds used by trainings (with their child processes), of the cores they asked for times their seconds",
    ),
    Definition(
        "training_gpu_utilisation", "GPU used by trainings", "cost", "share", "higher", QUARTER_DAYS,
        "mean utilisation that nvidia-smi told while trainings held GPUs, weighted by their GPU seconds",
    ),
    Definition(
        "serving_cpu_utilisation", "CPU used by servers", "cost", "share", "", MONTH_DAYS,
        "CPU seconds used by the processes that answer, of the seconds they ran (each is good for one core)",
    ),
    Definition(
        "cpu_ms_a_request", "CPU a request", "cost", "ms", "lower", MONTH_DAYS,
        "CPU seconds of the processes that answer, shared among models by the time their requests took, divided by the "
        "requests of the days on which servers were looked at",
    ),
    Definition(
        "cost_a_training_run", "Cost of a training", "cost", "USD", "lower", QUARTER_DAYS,
        "CPU seconds, memory (peak times seconds) and GPU seconds used by trainings, at the price sheet's prices, "
        "divided by the trainings",
    ),
    Definition(
        "cost_a_million_predictions", "Cost of a million predictions", "cost", "USD", "lower", MONTH_DAYS,
        "CPU seconds and memory of the processes that answer, at the price sheet's prices, shared among models by the "
        "time their requests took, a million rows",
    ),
    Definition(
        "shared_views", "Feature views shared", "reuse", "views", "higher", 0,
        "active feature views that serve models or applications of more than one team: read across teams, or declared "
        "by several with the same meaning",
    ),
    Definition(
        "shared_view_share", "Share of views shared", "reuse", "share", "higher", 0,
        "shared_views, of all meanings of active feature views",
    ),
    Definition(
        "shared_templates", "Templates shared", "reuse", "templates", "higher", 0,
        "templates from which the packages of more than one installed team were made (by"
        " what 'loopline new' and Copier leave beside the code)",
    ),
)  # fmt: skip
DEFINITIONS = {definition.name: definition for definition in _ALL}
