"""Commands ``loopline cycle close`` and ``proceed``: ends a cycle, or releases it from a data hold."""

from __future__ import annotations

import click

from loopline.cli.command import Command
from loopline.cli.output import Answer
from loopline.cli.subject import open_cycle, opened, person


@click.command("close", cls=Command)
@click.argument("name", metavar="CYCLE")
@click.option("--reason", required=True, help="Why; kept in the ledger.")
@click.option("--by", metavar="NAME", help="Who; you when left out.")
def close(name: str, reason: str, by: str | None) -> Answer:
    """End CYCLE, or the open one of the model of that name, as failed, and its training, wherever that runs.

    A run of it deploys nothing any more.

    One that is rolling out is ended by `loopline rollback`.
    """
    from loopline.platform_core import turn
    from loopline.platform_core.loop.cycles import cycles

    with opened(only=("compute",)) as platform:
        found = open_cycle(platform, name)
        ended = cycles.give_up(platform.ledger, found.cycle_id, person(by), reason, platform.clock.now())
        turn.settled(platform, ended.ref)
        turn.drop(platform, ended)
    said = f"cycle {ended.cycle_id} of {ended.ref} is over: {ended.verdict}"
    return Answer({"model": ended.ref, "cycle": ended.cycle_id, "state": ended.state, "verdict": ended.verdict}, said)


@click.command("proceed", cls=Command)
@click.argument("name", metavar="CYCLE")
@click.option("--reason", required=True, help="Why; kept in the ledger.")
@click.option("--by", metavar="NAME", help="Who; you when left out.")
def proceed(name: str, reason: str, by: str | None) -> Answer:
    """Let CYCLE, or the open one of the model of that name, learn although checks of its sources fail."""
    from loopline.platform_core import turn

    with opened(only=()) as platform:
        found = open_cycle(platform, name)
        turn.go_on(platform, found, person(by), reason)
    data = {"model": found.ref, "cycle": found.cycle_id, "by": person(by), "reason": reason}
    return Answer(data, f"cycle {found.cycle_id} of {found.ref} goes on within seconds")
