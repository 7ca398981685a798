"""Prometheus exposition of the platform's own metrics, from the ledger alone.

Ages are by the platform's clock, so that a replayed history has the ages it had. Everything comes from the ledger: no
row of the lake is read and nobody else is asked, so a scrape is quick and harms nobody.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from loopline.platform_core.observability.families import Family, seconds, text

if TYPE_CHECKING:
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.plugins import Installed

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def exposition(platform: Platform, teams: Installed) -> bytes:
    """Write all metrics of the platform in Prometheus' text format.

    Raises:
        StoreUnavailable: the ledger does not answer.
    """
    return text(families(platform, teams))


def families(platform: Platform, teams: Installed) -> Iterator[Family]:
    """Yield every family, those without samples too."""
    from loopline.platform_core.observability.data_metrics import data_metrics
    from loopline.platform_core.observability.loop_metrics import loop_metrics
    from loopline.platform_core.observability.quality_metrics import quality_metrics
    from loopline.platform_core.observability.watch_metrics import watch_metrics

    began, now = time.perf_counter(), platform.clock.now()
    yield from loop_metrics(platform.ledger, now)
    yield from data_metrics(platform.ledger, teams.teams, now)
    yield from watch_metrics(platform.ledger, now)
    yield from quality_metrics(platform.ledger, now, teams.teams)
    yield from _platform(platform, teams)
    took = Family("loopline_exposition_seconds", "gauge", "How long it took to write this page.")
    took.add(round(time.perf_counter() - began, 6))
    yield took


def _platform(platform: Platform, teams: Installed) -> Iterator[Family]:
    from loopline.platform_core.loop.ledger import tables

    build = Family("loopline_build_info", "gauge", "What runs.", ("version", "environment"))
    build.add(1, version("loopline"), platform.environment.name)
    installed = Family("loopline_teams", "gauge", "Teams by whether their package loads.", ("state",))
    installed.add(len(teams.teams), "loaded")
    installed.add(len(teams.quarantined), "quarantined")
    models = Family("loopline_models", "gauge", "Models that are declared.", ("team",))
    for team in teams.teams:
        models.add(len(team.models), team.name)
    written = Family("loopline_ledger_entries_total", "counter", "Entries of the ledger.")
    with platform.ledger.reading() as connection:
        written.add(connection.scalar(select(func.max(tables.entries.c.entry_id))) or 0)
    yield from (build, installed, models, written, _watchdog(platform), *_quotas(platform))


def _quotas(platform: Platform) -> Iterator[Family]:
    """Tell what the watchdog of this home found of each quota at its last round."""
    from loopline.platform_core.quotas import usage

    limit = Family("loopline_quota_limit", "gauge", "What the environment may use.", ("quota",))
    used = Family("loopline_quota_used", "gauge", "What of it was used at the watchdog's last round.", ("quota",))
    found = {one.name: one for one in usage.left(platform.ledger)}
    for name, most in platform.environment.quotas.limits().items():
        limit.add(most, name)
        used.add(found[name].used if name in found else None, name)
    yield from (limit, used)


def _watchdog(platform: Platform) -> Family:
    """Tell when the watchdog ended its last round, by the wall's time."""
    from loopline.platform_core.alarms import watchdog_heartbeat

    age = Family("loopline_watchdog_age_seconds", "gauge", "Since when the watchdog has not ended a round.")
    if (at := watchdog_heartbeat.last(platform.ledger)) is not None:
        age.add(seconds(at, datetime.now(UTC)))
    return age
