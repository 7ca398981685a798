"""Command ``loopline model refresh``: applies endpoints' desired states and images again."""

from __future__ import annotations

import click

from loopline.cli.command import Command, progress
from loopline.cli.output import Answer
from loopline.cli.subject import opened, referenced


@click.command("refresh", cls=Command)
@click.argument("name", metavar="[MODEL]", required=False)
@click.option("--team", metavar="TEAM", help="Every model of this team that was deployed.")
def refresh(name: str | None, team: str | None) -> Answer:
    """Apply this environment file to the endpoint of MODEL, or of each of a team's models: image, size, settings.

    Versions stay as they are. On a cluster one pod is replaced after the other. Of another image one pod answers beside
    the others until the loop has judged it by the model's own judges: it goes on to all pods, or is taken back, and
    `loopline model status` says which. The loop asks for a new image by itself; this command asks at once, and tries an
    image again that was taken back. Run it where the team's code location runs: its environment file names the team's
    image.
    """
    from loopline.platform_core.errors import LooplineError
    from loopline.platform_core.loop.deployments import deployments

    if bool(name) == bool(team):
        raise click.UsageError("nothing, or too much, says what is asked for anew: name MODEL, or --team TEAM")
    asked, failed = [], {}
    with opened() as platform, progress(f"asking for {name or f'the endpoints of {team}'} anew"):
        live = () if name else deployments.deployments(platform.ledger, str(team)).values()
        for ref in [referenced(platform, name)] if name else [one.ref for one in live]:
            try:
                platform.serving.retry_image(ref.dotted)
                deployments.carry_out(platform, ref)
                asked.append(ref)
            except LooplineError as error:
                if name:
                    raise
                failed[ref] = error
    said = [f"{ref}: asked for anew" for ref in asked]
    said += [f"{ref}: {error.problem} → {error.fix}" for ref, error in failed.items()]
    data = {"asked": asked, "failed": {str(ref): error.problem for ref, error in failed.items()}}
    return Answer(data, "\n".join(said) or f"no model of {team} was ever deployed", exit_code=1 if failed else 0)
