"""Commands ``loopline dead-letters retry`` and ``dismiss``, for files that were refused as a whole."""

from __future__ import annotations

import click

from loopline.cli.command import Command
from loopline.cli.output import Answer
from loopline.cli.subject import opened, person, source_of


@click.command("retry", cls=Command)
@click.argument("source")
@click.argument("name", default="")
@click.option("--reason", default="", help="Why; it is kept in the ledger.")
@click.option("--by", metavar="NAME", help="Who; you when left out.")
def retry(source: str, name: str, reason: str, by: str | None) -> Answer:
    """Have the refused file NAME of SOURCE, or all that are refused, tried again at the next landing.

    A file whose content or contract changed is tried again by itself.
    """
    from loopline.platform_core.ingestion.inbox import Inbox
    from loopline.platform_core.ingestion.letters.refusals import decide

    team, declared = source_of(source)
    with opened(only=()) as platform:
        found = decide(Inbox.of(platform, team, declared), name, "retry", person(by), reason)
    where, names = f"{team.name}/{declared.name}", [one.name for one in found]
    return Answer({"source": where, "retry": names}, f"{', '.join(names)} of {where}: tried again at the next landing")


@click.command("dismiss", cls=Command)
@click.argument("source")
@click.argument("name", default="")
@click.option("--reason", required=True, help="Why nothing is to be done; it is kept in the ledger.")
@click.option("--by", metavar="NAME", help="Who; you when left out.")
def dismiss(source: str, name: str, reason: str, by: str | None) -> Answer:
    """Say that the refused file NAME of SOURCE is not to land.

    Without NAME: that nothing is to be done about arrivals of which most rows are dead letters; the letters stay.
    """
    from loopline.platform_core.ingestion.inbox import Inbox
    from loopline.platform_core.ingestion.letters import dead_shares
    from loopline.platform_core.ingestion.letters.refusals import decide

    team, declared = source_of(source)
    with opened(only=()) as platform:
        inbox = Inbox.of(platform, team, declared)
        if name:
            names = [one.name for one in decide(inbox, name, "dismissed", person(by), reason)]
        else:
            names = [one.name for one in dead_shares.dismiss(inbox, person(by), reason)]
    where = f"{team.name}/{declared.name}"
    return Answer({"source": where, "dismissed": names}, f"{', '.join(names)} of {where}: dismissed")
