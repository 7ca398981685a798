"""Command ``loopline quota``: usage and limit of each quota of the environment."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from loopline.cli.command import Command
from loopline.cli.output import Answer, table
from loopline.cli.subject import opened

if TYPE_CHECKING:
    from loopline.graphql import Dagster
    from loopline.platform_core.platform import Platform

HEADER = ("quota", "used", "limit", "share", "of what")
RATE_SECONDS = 1.0


@click.command("quota", cls=Command)
def quota() -> Answer:
    """Say what is used of each quota of the environment; 1 is the exit code when one is used up."""
    from loopline.platform_core import environment
    from loopline.watchdog.quota_look import QuotaLook

    limits = environment.quotas().limits()
    if not limits:
        return Answer({"quotas": []}, "the environment file sets no quota: docs/how-to/set-quotas.md")
    more = ("lake", "registry") if "storage_bytes" in limits else ()
    with opened(only=("serving", *more)) as platform:
        look = QuotaLook(platform, _dagster(platform) if "runs" in limits else None)
        found = look.usage()
        if "requests_per_second" in limits:
            time.sleep(RATE_SECONDS)
            found = look.usage()
    rows = [{"quota": u.name, "used": u.used, "limit": u.limit, "share": u.share, "note": u.note} for u in found]
    shown = [
        (u.name, u.shown(u.used), u.shown(u.limit), "-" if u.share is None else f"{u.share:.0%}", u.note) for u in found
    ]
    return Answer({"quotas": rows}, table(shown, HEADER), int(any((u.share or 0.0) >= 1.0 for u in found)))


def _dagster(platform: Platform) -> Dagster | None:
    """Return the web server of this home; None where none runs."""
    from loopline.graphql import Dagster
    from loopline.platform_core.errors import NotFound
    from loopline.sign_in.own import Own
    from loopline.up import lock

    try:
        url = str(lock.announced(platform.home)["ui"] or "").rstrip("/")
    except NotFound:
        return None
    return Dagster(f"{url}/graphql", headers=Own(platform)) if url else None
