"""Command ``loopline audit retain``: removes audit entries past their retention."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import click

from loopline.cli.command import Command, progress
from loopline.cli.output import Answer, table
from loopline.cli.subject import opened, person


@click.command("retain", cls=Command)
@click.option("--dry-run", is_flag=True, help="Say what would be let go, and let nothing go.")
@click.option("--by", metavar="NAME", help="Who lets go; you when left out.")
def retain(dry_run: bool, by: str | None) -> Answer:
    """Let go of entries that are older than the environment's audit.retention_days says.

    That they were let go is an entry, which the key signs; their hashes stay, so that the rest still verifies. A policy
    that keeps something for less than the one before holds thirty days after it came into the record.
    """
    from loopline.platform_core.audit import place, removing
    from loopline.platform_core.retention import Retention

    with opened(only=("anchors",)) as platform, progress("verifying the record"):
        policy = platform.environment.retention or Retention()
        keeper = removing.Keeper(platform.ledger, policy, platform.anchors)
        if dry_run:
            counted = keeper.due(place.verifying_key(platform))
        else:
            counted = keeper.retain(place.signing_key(platform), person(by))
        coming = removing.notice(platform.ledger)
    told = "would be let go" if dry_run else "are let go"
    data = {"entries": dict(counted), "policy": policy.text, "done": not dry_run}
    holds = coming and {"policy": coming[0], "holds_from": coming[1]}
    return Answer({**data, "notice": holds}, "\n".join(_lines(counted, told, coming)))


def _lines(counted: Mapping[str, int], told: str, coming: tuple[str, datetime] | None) -> list[str]:
    rows = sorted(counted.items())
    found = [table(rows, ("what", "entries"))] if rows else []
    found.append(f"{sum(counted.values())} entries {told}")
    return [*found, f"{coming[0]} holds from {coming[1]:%Y-%m-%d %H:%M} UTC on"] if coming else found
