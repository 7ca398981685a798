"""Dagster's home: instance settings, and the workspace files of the teams' code locations."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from loopline.platform_core.environment import quotas, sites
from loopline.platform_core.foundation.names import PLATFORM
from loopline.platform_core.foundation.ports import HOST
from loopline.platform_core.plugins import names

MODULE = "loopline.asset_defs.code_location"
WORK_TAG = "loopline/work"
"""Runs of the job ``loopline_cycle`` carry it with the value ``training``."""
TEAM_TAG = "loopline/team"
"""Runs carry it where teams share a queue."""
SHARE_TAG = "loopline/share"
"""The same, but for steps of rollouts: by it teams are bounded."""
DAYS_TAG = "loopline/days"
"""The same, on the days of a backfill alone."""
BACKFILL_TAG = "dagster/backfill"
"""Dagster gives it to each run of a backfill."""
RUNS = 4
"""At once."""
SENSORS = 4
"""Asked at once on this machine."""
MOST_SENSORS = 6
"""Of one team: each waits for a site that is cut off in a thread of its own, until it is given up."""
STAMP = "initialised-with"


def team_names(environment: Path | None = None) -> tuple[str, ...]:
    """Return the installed teams by name, those at sites once a site; nothing of theirs is loaded."""
    return names(environment)


def location_names(environment: Path | None = None) -> tuple[str, ...]:
    """Return the code locations: every installed team's, and the platform's own."""
    return (*team_names(environment), PLATFORM)


def prepare(folder: Path) -> bool:
    """Write ``dagster.yaml`` and say whether the instance was initialised with this version of Dagster before."""
    folder.mkdir(parents=True, exist_ok=True)
    write_yaml(folder / "dagster.yaml", bounded(settings()))
    stamp = folder / STAMP
    return stamp.exists() and stamp.read_text() == dagster_version()


def dagster_version() -> str:
    """Return the version of Dagster that is installed; nothing of it is loaded."""
    return version("dagster")


def bounded(own: dict[str, Any]) -> dict[str, Any]:
    """Return an instance's settings whose queue holds runs to the environment's quota, where it has one."""
    if quotas().runs is None:
        return own
    others = {name: value for name, value in own.items() if name != "run_queue"}
    queue = {"module": "loopline.asset_defs.runs.run_quota", "class": "BoundedQueue", "config": own["run_queue"]}
    return others | {"run_coordinator": queue}


def settings() -> dict[str, Any]:
    """Return the instance's settings for one machine.

    Trainings wait for one another, two cores each, so that a rollout's step, which may take a bad version back, never
    waits behind them; the days of a backfill, which may be hundreds, leave half of the places to others. The queue is
    read every second, not every five.
    """
    trainings = max(1, (os.cpu_count() or 2) // 2)
    days = {"skipped": 1, "success": 7, "failure": 30, "started": 7}
    return {
        "telemetry": {"enabled": False},
        "nux": {"enabled": False},
        "run_queue": {
            "max_concurrent_runs": RUNS,
            "dequeue_interval_seconds": 1,
            "tag_concurrency_limits": [
                {"key": WORK_TAG, "value": "training", "limit": trainings},
                {"key": BACKFILL_TAG, "limit": RUNS // 2},
            ],
        },
        "run_monitoring": {"enabled": True, "poll_interval_seconds": 10, "free_slots_after_run_end_seconds": 60},
        "retention": {"sensor": {"purge_after_days": days}, "schedule": {"purge_after_days": days}},
        "sensors": {"use_threads": True, "num_workers": sensor_threads()},
        "auto_materialize": {"enabled": False},
        "freshness": {"enabled": False},
    }


def sensor_threads() -> int:
    """Return how many sensors are asked at once: those of sites that do not answer hold no other's up."""
    return SENSORS + MOST_SENSORS * len(sites().code_servers)


def write_grpc_workspace(path: Path, ports: Mapping[str, int], elsewhere: Mapping[str, str] | None = None) -> Path:
    """Write a workspace of running code servers: team and port, or for those ``elsewhere`` team and ``host:port``."""
    servers = [_server(team, HOST, port) for team, port in ports.items()]
    return write_yaml(path, {"load_from": [*servers, *servers_elsewhere(elsewhere or {})]})


def servers_elsewhere(addresses: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return a workspace's entries of code servers at other places, by team and ``host:port``."""
    parts = {team: address.rpartition(":") for team, address in addresses.items()}
    return [_server(team, host, int(port)) for team, (host, _, port) in parts.items()]


def _server(team: str, host: str, port: int) -> dict[str, Any]:
    return {"grpc_server": {"host": host, "port": port, "location_name": team}}


def module_workspace(teams: Sequence[str]) -> dict[str, Any]:
    """Return a workspace that plain Dagster loads itself: one location a team."""
    return {
        "load_from": [
            {"python_module": {"module_name": MODULE, "attribute": team, "location_name": team}} for team in teams
        ]
    }


def write_yaml(path: Path, data: Mapping[str, Any]) -> Path:
    """Write a file of settings."""
    import yaml

    path.write_text(yaml.safe_dump(dict(data), sort_keys=False))
    return path
