"""``loopline rollback``."""

from __future__ import annotations

import click

from loopline.cli.command import Command, progress
from loopline.cli.output import Answer
from loopline.cli.subject import opened, person, referenced
from loopline.platform_core.loop.rollback import roll_back


@click.command("rollback", cls=Command)
@click.argument("model")
@click.option("--reason", default="taken back by hand", show_default=True, help="Why; kept in the ledger.")
@click.option("--by", metavar="NAME", help="Who; you when left out.")
def rollback(model: str, reason: str, by: str | None) -> Answer:
    """Take MODEL one step back at once: end its rollout, else return to the version before."""
    with opened() as platform, progress(f"taking {model} back"):
        ref = referenced(platform, model)
        now = roll_back(platform, ref, person(by), reason, platform.clock.now())
    said = f"{ref} is back on version {now.stable.version}" if now.stable else f"{ref} is taken back; nothing is live"
    data = {"model": ref, "stable": now.stable, "candidate": now.candidate, "percent": now.percent}
    return Answer(data | {"generation": now.generation}, said)
