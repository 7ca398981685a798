"""Commands ``loopline freeze`` and ``thaw``: stop and resume cycles and rollouts."""

from __future__ import annotations

import click

from loopline.cli.command import Command
from loopline.cli.output import Answer
from loopline.cli.subject import opened, person, referenced


@click.command("freeze", cls=Command)
@click.argument("model", required=False)
@click.option("--reason", required=True, help="Why; kept in the ledger.")
@click.option("--by", metavar="NAME", help="Who; you when left out.")
def freeze(model: str | None, reason: str, by: str | None) -> Answer:
    """Stop new cycles and forward steps of rollouts of MODEL, or of all models; going back stays possible."""
    return _switch(model, reason, person(by), frozen=True)


@click.command("thaw", cls=Command)
@click.argument("model", required=False)
@click.option("--reason", default="the reason for the freeze is gone", show_default=True, help="Why.")
@click.option("--by", metavar="NAME", help="Who; you when left out.")
def thaw(model: str | None, reason: str, by: str | None) -> Answer:
    """Let the loop of MODEL, or of all models, turn again."""
    return _switch(model, reason, person(by), frozen=False)


def _switch(model: str | None, reason: str, by: str, *, frozen: bool) -> Answer:
    from loopline.platform_core.loop import freezes

    with opened(only=()) as platform:
        ref = referenced(platform, model) if model else None
        switch = freezes.freeze if frozen else freezes.thaw
        entry = switch(platform.ledger, ref, by, reason, platform.clock.now())
    what = str(ref) if ref else "everything"
    data = {"model": ref, "frozen": frozen, "by": by, "reason": reason, "at": entry.at}
    return Answer(data, f"{what} is {'frozen' if frozen else 'free'}, by {by}: {reason}")
