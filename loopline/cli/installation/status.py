"""Command ``loopline status``: teams, live versions, active alarms and sites."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from loopline.cli.command import Command
from loopline.cli.output import Answer, table
from loopline.cli.subject import opened

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from loopline.platform_core.platform import Platform

HEADER = ("where", "team", "model", "live", "last seen", "waiting", "predictions until")
CONTROL_PLANE = "control plane"


@click.command("status", cls=Command)
@click.option(
    "--sites", is_flag=True, help="Each site: what is live there, when it was last seen, how late its data is."
)
def status(sites: bool) -> Answer:
    """Say what is there: teams, what is live, alarms that stand. No site is asked: each tells the ledger of itself."""
    with opened(only=()) as platform:
        found = _found(platform)
        places = _sites(platform) if sites else []
    silent = sorted({row["site"] for row in places if row["silent"]})
    text = table([*found.items()])
    if sites:
        text = "\n\n".join([text, table([_row(row) for row in places], HEADER), *(_silence(silent),) * bool(silent)])
    return Answer({**found, **({"sites": places, "silent": silent} if sites else {})}, text)


def _found(platform: Platform) -> dict[str, Any]:
    from loopline.platform_core import alarms
    from loopline.platform_core.loop.deployments import deployments

    teams = _teams(platform)
    live = [d for team in teams for d in deployments.deployments(platform.ledger, team).values() if d.stable]
    return {
        "environment": f"{platform.environment.name} ({platform.environment.path})",
        "this process": f"site {platform.environment.site}" if platform.environment.site else CONTROL_PLANE,
        "sites": ", ".join(platform.environment.sites.names) or "none",
        "teams": ", ".join(teams) or "none",
        "models live": len(live),
        "alarms": len(list(alarms.standing(platform.ledger))),
    }


def _teams(platform: Platform) -> list[str]:
    """Return the teams that are installed, and those at sites, whose packages need not be here."""
    from loopline.platform_core import plugins

    every = platform.environment.sites
    return sorted({*plugins.names(), *(team for base in every.teams for team in every.spread(base))})


def _sites(platform: Platform) -> list[dict[str, Any]]:
    """Give a row for each model of each site and of the control plane; one without model where nothing is live."""
    from loopline.platform_core.loop.deployments import deployments
    from loopline.platform_core.loop.sites import heartbeats

    told = {one.ref: one for one in heartbeats.told(platform.ledger)}
    every, now, rows = platform.environment.sites, heartbeats.now_at(platform.ledger), []
    for team in sorted(_teams(platform), key=lambda name: (every.of(name), name)):
        named = {"site": every.of(team), "team": team}
        found = [d for d in deployments.deployments(platform.ledger, team).values() if d.stable or d.candidate]
        rows += [{**named, **_model(one, told.get(one.ref), now)} for one in found] or [{**named, **_nothing()}]
    return rows


def _nothing() -> dict[str, Any]:
    return dict.fromkeys(("model", "version", "seen_at", "waiting", "until")) | {"silent": False}


def _model(live: Any, told: Any, now: datetime) -> dict[str, Any]:
    found = _nothing() | {"model": live.ref.model, "version": live.stable.version if live.stable else None}
    if told is None:
        return found
    more = {"seen_at": told.seen_at, "waiting": told.waiting, "until": told.until, "silent": told.silent(now)}
    return found | more | {"seen_seconds": round((now - told.seen_at).total_seconds())}


def _row(row: Mapping[str, Any]) -> Sequence[Any]:
    seen = f"{row['seen_seconds']} s ago{', SILENT' if row['silent'] else ''}" if row["seen_at"] else None
    where = row["site"] or CONTROL_PLANE
    return (where, row["team"], row["model"], row["version"], seen, row["waiting"], row["until"])


def _silence(sites: Sequence[str]) -> str:
    return (
        f"nothing was heard of {', '.join(sites)}: cut off, or its code servers do not run; its endpoints may answer "
        "all the same, and what they answered comes when it is back"
    )
