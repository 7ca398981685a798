"""Dagster instance settings for pods, and the creation of its shared tables.

No password stands in ``dagster.yaml``: Dagster hands its settings from process to process, also as arguments.
"""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from typing import Any

from loopline.platform_core.environment import home
from loopline.platform_core.errors import StoreUnavailable
from loopline.pod.run_pods import RUN_OF, launcher_settings
from loopline.pod.settings import DagsterSettings, Limit
from loopline.up import dagster_home

STORAGE = "LOOPLINE_DAGSTER_DATABASE"
"""The variable in which a process of ours finds Dagster's database; every process gets it from the environment file.

It is no variable that such a file takes, nor the web server's address: the URL holds a password."""
PREPARING = 7_104_621
"""PostgreSQL's advisory lock for whoever makes the tables; any number that no other program takes."""
_MARKS = "loopline_prepared"
_START_SECONDS = 300
"""How long a run may take to start."""
_PATIENCE = {"max_user_code_failure_retries": 10, "user_code_failure_retry_delay": 15}
"""A run whose code location is between two pods goes back into the queue."""


def write(settings: DagsterSettings) -> Path:
    """Write ``dagster.yaml`` into this pod's home and point this process's variables at it; returns the folder."""
    folder = home() / "dagster"
    folder.mkdir(parents=True, exist_ok=True)
    dagster_home.write_yaml(folder / "dagster.yaml", shared(settings))
    os.environ.update({"DAGSTER_HOME": str(folder), STORAGE: settings.storage, "DAGSTER_DISABLE_TELEMETRY": "yes"})
    return folder


def shared(settings: DagsterSettings) -> dict[str, Any]:
    """Return the instance's settings: those of one machine, but for what pods share."""
    own = dagster_home.settings()
    queue = own.pop("run_queue")
    queue |= _PATIENCE | {
        "max_concurrent_runs": settings.runs,
        "tag_concurrency_limits": [_limit(one) for one in limits(settings)],
    }
    own["run_monitoring"] |= {"start_timeout_seconds": _START_SECONDS}
    own |= {
        "storage": {"postgres": {"postgres_url": {"env": STORAGE}}},
        "run_coordinator": {"module": "loopline.pod.queue", "class": "TeamQueue", "config": queue},
    }
    if settings.run_pods is not None:
        own["run_launcher"] = _launcher(settings)
    if settings.pools:
        own["concurrency"] = {"pools": dict(settings.pools)}
    if settings.run_logs:
        own["compute_logs"] = {"module": "loopline.pod.run_logs", "class": "ObjectRunLogs", "config": {}}
    return own


def _launcher(settings: DagsterSettings) -> dict[str, Any]:
    """Return who starts runs; in a run's pod it is dagster-k8s itself, for its executor of steps asks that."""
    team = os.environ.get(RUN_OF, "")
    chosen = (settings.run_pods or {}).get(team)
    if chosen is not None:
        config = launcher_settings(team, chosen)
        return {"module": "loopline.pod.team_pods", "class": "TeamPods", "config": config}
    return {"module": "loopline.pod.launcher", "class": "TeamLauncher", "config": {}}


def limits(settings: DagsterSettings) -> tuple[Limit, ...]:
    """Return all limits by tag: trainings, backfills' days, each team, and what the environment adds.

    A team's backfill leaves half of its places to its other runs; all runs but the steps of rollouts leave one place.
    """
    return (
        Limit(tag=dagster_home.WORK_TAG, value="training", runs=settings.trainings),
        Limit(tag=dagster_home.BACKFILL_TAG, runs=max(1, settings.runs // 2)),
        Limit(tag=dagster_home.DAYS_TAG, per_value=True, runs=max(1, settings.team_runs // 2)),
        Limit(tag=dagster_home.SHARE_TAG, per_value=True, runs=settings.team_runs),
        Limit(tag=dagster_home.SHARE_TAG, runs=max(1, settings.runs - 1)),
        *settings.limits,
    )


def prepare(settings: DagsterSettings) -> bool:
    """Make Dagster's tables and bring them up to date, unless this version of it did; says whether it was needed.

    One pod does it, the others wait; it takes seconds once, and a question at each later start.

    Raises:
        StoreUnavailable: the database does not answer.
    """
    import psycopg2

    url = settings.storage.replace("+psycopg2", "", 1)
    try:
        with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (PREPARING,))
            cursor.execute(f"CREATE TABLE IF NOT EXISTS {_MARKS} (version text PRIMARY KEY)")
            version = dagster_home.dagster_version()
            cursor.execute(f"SELECT 1 FROM {_MARKS} WHERE version = %s", (version,))  # noqa: S608 - our own name
            if cursor.fetchone():
                return False
            _make()
            cursor.execute(f"INSERT INTO {_MARKS} VALUES (%s)", (version,))  # noqa: S608
            return True
    except psycopg2.OperationalError as error:
        raise StoreUnavailable(
            f"Dagster's database does not answer: {str(error).strip()}",
            "look at PostgreSQL, and at dagster.storage in the environment file",
        ) from error


def _make() -> None:
    import dagster as dg

    with dg.DagsterInstance.get() as instance:  # makes what is not there
        instance.upgrade()


def _limit(one: Limit) -> dict[str, Any]:
    value: Any = {"applyLimitPerUniqueValue": True} if one.per_value else one.value
    return {"key": one.tag, **({} if value is None else {"value": value}), "limit": one.runs}
