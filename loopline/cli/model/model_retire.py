"""Command ``loopline model retire``: ends the endpoint of a model that no team declares any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from loopline.cli.command import Command, progress
from loopline.cli.output import Answer
from loopline.cli.subject import opened, person, referenced

if TYPE_CHECKING:
    from loopline.platform_core.foundation.names import ModelRef


@click.command("retire", cls=Command)
@click.argument("name", metavar="MODEL")
@click.option("--reason", required=True, help="Why; kept in the ledger.")
@click.option("--by", metavar="NAME", help="Who; you when left out.")
def retire(name: str, reason: str, by: str | None) -> Answer:
    """End the endpoint of MODEL, which no team declares any more; its history and its prediction log stay.

    Asked again it completes what was left undone, as where the cluster's API was away.
    """
    from loopline.platform_core.loop.rollouts import retirement

    with opened() as platform, progress(f"ending what answers for {name}"):
        ref = referenced(platform, name)
        _refuse_declared(ref)
        ended = retirement.retire(platform, ref, person(by), reason, platform.clock.now())
    goes_on = f"{type(platform.serving).__name__} ends no endpoints: what answers for it goes on until its server ends"
    return Answer({"model": ref, "ended": ended}, f"{ref} is retired; " + ("its endpoint ends" if ended else goes_on))


def _refuse_declared(ref: ModelRef) -> None:
    from loopline.platform_core import plugins
    from loopline.platform_core.errors import NotFound, Refused

    try:
        team = plugins.installed().team(ref.team)
    except NotFound:
        return
    if ref.model in {model.name for model in team.models}:
        raise Refused(
            f"team {team.name} declares {ref}: its next cycle would bring the endpoint back",
            "take the model out of the team's package first, or freeze it",
        )
