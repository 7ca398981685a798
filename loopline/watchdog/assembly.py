"""Assembles the watchdog of an installation from its checks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from loopline.graphql import Dagster
from loopline.platform_core.alarms.pages import Pages
from loopline.sign_in.own import Own
from loopline.watchdog.asset_looks import AssetLooks
from loopline.watchdog.audit_look import AuditLook
from loopline.watchdog.dagster_health import DagsterHealth
from loopline.watchdog.look import Bounds, Look
from loopline.watchdog.loop_looks import LoopLooks
from loopline.watchdog.package_look import PackageLook
from loopline.watchdog.program_look import programs
from loopline.watchdog.quota_look import QuotaLook
from loopline.watchdog.rounds import Watchdog
from loopline.watchdog.run_looks import RunLooks

if TYPE_CHECKING:
    from loopline.platform_core.platform import Platform

SELDOM = 4
"""Rounds between looks that read much."""


def watchdog(
    platform: Platform,
    dagster_url: str,
    bounds: Bounds,
    say: Callable[[str], None],
    words: Callable[[str], str] | None = None,
) -> Watchdog:
    """Make a watchdog; without a Dagster URL it looks at ledger and endpoints only.

    ``words`` says why the pod of a team's code location does not start; None where there are no pods.
    """
    own = LoopLooks(platform, bounds)
    looks = [
        Look("serving", own.serving, ("serving",)),
        Look("programs", partial(programs, platform.home), ("program:",)),
        Look("cycles", own.cycles, ("cycle:",), patient=False),
        Look("audit", AuditLook(platform).look, ("audit:",), patient=False),
    ]
    if platform.environment.signing is not None:
        looks.append(Look("packages", PackageLook(platform).look, ("package:",), patient=False))
    if platform.environment.sites.names:
        looks.append(Look("sites", own.sites, ("site:",)))
    if platform.environment.quotas.limits():
        asked = Dagster(f"{dagster_url}/graphql", headers=Own(platform)) if dagster_url else None
        looks.append(Look("quotas", QuotaLook(platform, asked).look, ("quota:",), patient=False))
    if dagster_url:
        looks += _of_dagster(Dagster(f"{dagster_url}/graphql", headers=Own(platform)), dagster_url, bounds, words)
    return Watchdog(platform, looks, bounds, say)


def _of_dagster(dagster: Dagster, url: str, bounds: Bounds, words: Callable[[str], str] | None) -> list[Look]:
    asked = dagster, Pages(url), bounds
    health, assets, runs = DagsterHealth(*asked, words), AssetLooks(*asked), RunLooks(*asked)
    seldom = SELDOM if bounds.patience else 1
    return [
        Look("web", health.web, ("web",)),
        Look("daemons", health.daemons, ("daemon",)),
        Look("locations", health.locations, ("location:", "code-server:")),
        Look("automation", health.automation, ("sensor:", "schedule:")),
        Look("assets", assets.look, ("check:", "stale:"), patient=False, every=seldom),
        Look("runs", runs.look, ("run:",), patient=False, every=seldom),
    ]
