"""Rollback: ends the running rollout, or returns to the previous stable version, at once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from loopline.platform_core.errors import CommitConflict, NotFound
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.deployments import deployments, packages
from loopline.platform_core.loop.deployments.deployments import CHANGED, Deployment
from loopline.platform_core.loop.freezes import signed
from loopline.platform_core.loop.ledger.ledger import Entry
from loopline.platform_core.loop.rollouts import rollouts

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from loopline.platform_core.contracts.serving import Served
    from loopline.platform_core.platform import Platform


def roll_back(  # noqa: PLR0913, PLR0917 - a rollback is of what, who, why and when
    platform: Platform,
    ref: ModelRef,
    actor: str,
    reason: str,
    now: datetime,
    version: str | None = None,
    *,
    registry_later: bool = False,
) -> Deployment:
    """Take one step back at once: end the rollout that runs or is watched, else return to the version before this one.

    Who names the ``version`` to take back means that one: asked twice, or by two people, it is taken back once. With
    ``registry_later`` the endpoint alone is asked, which takes no time: a platform that runs shows it in the registry.

    Returns:
        What is live now; of generation 0, with nothing stable, where the first rollout ended before anything was live.

    Raises:
        Refused: nobody is named, or no reason given, or another version would be taken back, or the team is at another
        site than this process. NotFound: there is nothing to go back to.
    """
    signed(actor, reason, "a rollback")
    platform.environment.refuse_elsewhere(ref.team)
    if rollouts.end(platform, ref, actor, reason, now, version):
        if deployments.deployment(platform.ledger, ref) is None:
            return Deployment(ref, 0, None, None, 0)
    else:
        _step_back(platform, Entry(CHANGED, now, *ref, actor=actor, reason=reason, details={"back": True}), version)
    return deployments.ask(platform, ref) if registry_later else deployments.carry_out(platform, ref)


def _step_back(platform: Platform, why: Entry, version: str | None) -> None:
    ref = ModelRef(why.team, why.model)
    changes = platform.ledger.entries(ref, [CHANGED])
    live = deployments.served(changes[-1].details["stable"]) if changes else None
    if live is not None:
        deployments.refuse_another(ref, version, live.version)
    earlier = stable_before(changes)
    if earlier is None:
        raise NotFound(f"{ref} has no earlier stable version", "fix forward: train and roll out a new version")
    package = packages.fetched(platform, ref, earlier.version)
    wanted = Deployment(ref, 0, replace(earlier, package=package), None, 0)
    why = replace(why, cycle=earlier.cycle, version=earlier.version)
    with platform.ledger.writing(ref) as connection:
        current = deployments.read(connection, ref)
        if current is None or current.generation != changes[-1].details["generation"]:
            raise CommitConflict(f"{ref} was changed at the same time", "look at what is live now, then repeat")
        deployments.write(connection, wanted, why)


def stable_before(changes: Iterable[Entry]) -> Served | None:
    """Return the stable version before the present one, stepping over those that were taken back."""
    past: list[Served] = []
    for entry in changes:
        now = deployments.served(entry.details["stable"])
        if entry.details.get("back") and len(past) > 1:
            past.pop()
        elif now is not None and (not past or past[-1].version != now.version):
            past.append(now)
    return past[-2] if len(past) > 1 else None
