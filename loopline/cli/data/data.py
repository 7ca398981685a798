"""Commands ``loopline data``: quarantines, time windows of a source that training leaves out."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from loopline.cli.command import Command, Instant
from loopline.cli.lazy import LazyGroup
from loopline.cli.output import Answer, table
from loopline.cli.subject import opened, person, source_of

if TYPE_CHECKING:
    from loopline.platform_core.loop.cycles.quarantines import Quarantine

COLUMNS = ("quarantine", "source", "from (UTC)", "until (UTC)", "by", "why")

data = LazyGroup(
    "data",
    {
        "quarantine": ("loopline.cli.data.data:quarantine", "Leave a window of a source's time out of training."),
        "release": ("loopline.cli.data.data:release", "End a quarantine: training learns from it again."),
        "list": ("loopline.cli.data.data:show", "What is left out now, since when and why."),
    },
    "Quarantines: time windows of bad data that training leaves out.",
)


@click.command("quarantine", cls=Command)
@click.argument("source")
@click.option("--from", "since", type=Instant(), required=True, help="The first event that is left out.")
@click.option("--to", "until", type=Instant(), required=True, help="The first event after it that is not.")
@click.option("--reason", required=True, help="Why; kept in the ledger, and with each version that learns without it.")
@click.option("--by", metavar="NAME", help="Who; you when left out.")
def quarantine(source: str, since: datetime, until: datetime, reason: str, by: str | None) -> Answer:
    """Leave training rows of events in a window out, of every model that learns from SOURCE, from its next cycle on.

    Nothing is erased: raw rows and features stay, and training sets of before are what they were.
    """
    from loopline.platform_core.loop.cycles import quarantines

    team, declared = source_of(source)
    with opened(only=()) as platform:
        wanted = quarantines.named(team.name, declared.name, since, until, person(by), reason, platform.clock.now())
        found = quarantines.quarantine(platform.ledger, wanted)
    said = f"{found.window} is left out from the next cycle on; 'loopline data release {found.quarantine_id}' undoes it"
    return Answer(_json(found), said)


@click.command("release", cls=Command)
@click.argument("quarantine_id", metavar="QUARANTINE")
@click.option("--reason", required=True, help="Why; kept in the ledger.")
@click.option("--by", metavar="NAME", help="Who; you when left out.")
def release(quarantine_id: str, reason: str, by: str | None) -> Answer:
    """Let training learn again from what QUARANTINE left out, from the next cycle on."""
    from loopline.platform_core import plugins
    from loopline.platform_core.errors import NotFound
    from loopline.platform_core.loop.cycles import quarantines

    with opened(only=()) as platform:
        for team in plugins.installed().teams:
            known = [one.quarantine_id for one in quarantines.standing(platform.ledger, team.name)]
            if quarantine_id in known:
                ledger, now = platform.ledger, platform.clock.now()
                found = quarantines.release(ledger, team.name, quarantine_id, person(by), reason, now)
                return Answer(_json(found), f"{found.window} is learnt from again, from the next cycle on")
    raise NotFound(f"no quarantine {quarantine_id!r} stands", "list them with 'loopline data list'")


@click.command("list", cls=Command)
@click.argument("source", required=False)
def show(source: str | None) -> Answer:
    """List what is left out of training now, of SOURCE or of all."""
    from loopline.platform_core import plugins
    from loopline.platform_core.loop.cycles import quarantines

    wanted = source_of(source) if source else None
    teams = [wanted[0]] if wanted else list(plugins.installed().teams)
    with opened(only=()) as platform:
        found = [
            one
            for team in teams
            for one in quarantines.standing(platform.ledger, team.name, [wanted[1].name] if wanted else None)
        ]
    rows = [[q.quarantine_id, f"{q.team}/{q.source}", q.since, q.until, q.by, q.reason] for q in found]
    text = table(rows, COLUMNS) if rows else "training leaves nothing out"
    return Answer({"quarantines": [_json(one) for one in found]}, text)


def _json(found: Quarantine) -> dict[str, Any]:
    return {
        "quarantine": found.quarantine_id,
        "source": f"{found.team}/{found.source}",
        "from": found.since,
        "to": found.until,
        "by": found.by,
        "reason": found.reason,
        "at": found.at,
    }
