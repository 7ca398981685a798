"""Command ``loopline rollback``: ends a rollout, or returns to the previous version."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

import click

from loopline.cli.command import Command, progress
from loopline.cli.output import Answer
from loopline.cli.subject import opened, person, referenced
from loopline.platform_core.loop.rollouts.rollback import roll_back

if TYPE_CHECKING:
    from loopline.platform_core.loop.deployments.deployments import Deployment
    from loopline.platform_core.platform import Platform

WAIT_SECONDS, POLL_SECONDS = 30.0, 0.1
"""How long the command waits for the endpoint's word."""


@click.command("rollback", cls=Command)
@click.argument("model")
@click.option("--reason", default="taken back by hand", show_default=True, help="Why; kept in the ledger.")
@click.option("--by", metavar="NAME", help="Who; you when left out.")
@click.option("--image", is_flag=True, help="Take back the servers' new container image that is on trial instead.")
def rollback(model: str, reason: str, by: str | None, image: bool) -> Answer:
    """Take MODEL one step back at once: end its rollout, else return to the version before.

    The endpoint is asked first, and waited for. Where Loopline runs, it shows the change in the registry afterwards.
    """
    if image:
        return _image_back(model, reason, by)
    with opened() as platform, progress(f"taking {model} back"):
        ref, by = referenced(platform, model), person(by)
        now = roll_back(platform, ref, by, reason, platform.clock.now(), registry_later=_runs(platform))
        answers = _answers(platform, now)
    said = f"{ref} is back on version {now.stable.version}" if now.stable else f"{ref} is taken back; nothing is live"
    if not answers:
        said += f"; its endpoint is asked to and does not answer so yet: see 'loopline model status {ref}'"
    data = {"model": ref, "stable": now.stable, "candidate": now.candidate, "percent": now.percent}
    return Answer(data | {"generation": now.generation, "answers": answers}, said)


def _image_back(model: str, reason: str, by: str | None) -> Answer:
    from loopline.platform_core.loop.rollouts import image_canary

    with opened(only=("serving",)) as platform, progress(f"taking the new image of {model} back"):
        ref = referenced(platform, model)
        image = image_canary.take_back(platform, ref, person(by), reason, platform.clock.now())
    return Answer({"model": ref, "image": image}, f"{ref}: image {image} is taken back")


def _runs(platform: Platform) -> bool:
    """Say whether Loopline runs in this home: it shows in the registry what its endpoint was asked for."""
    from loopline.platform_core.errors import NotFound
    from loopline.up import lock

    with contextlib.suppress(NotFound):
        return bool(lock.announced(platform.home))
    return False


def _answers(platform: Platform, now: Deployment) -> bool:
    """Wait until the endpoint is where it was asked to be; False where it says why not, or takes its time."""
    give_up = time.monotonic() + WAIT_SECONDS
    while now.stable is not None:
        seen = platform.serving.observe(now.ref.dotted)
        if seen.generation is not None and seen.generation >= now.generation:
            return True
        if seen.problem or time.monotonic() > give_up:
            return False
        time.sleep(POLL_SECONDS)
    return True
