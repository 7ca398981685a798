"""Retirement of a model: ends its rollout and endpoint; history, versions and logs stay."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.platform_core.errors import NotFound
from loopline.platform_core.loop.deployments import deployments
from loopline.platform_core.loop.deployments.deployments import CHANGED, Deployment
from loopline.platform_core.loop.freezes import signed
from loopline.platform_core.loop.ledger.ledger import Entry
from loopline.platform_core.loop.rollouts import rollouts

if TYPE_CHECKING:
    from datetime import datetime

    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.platform import Platform


def retire(platform: Platform, ref: ModelRef, actor: str, reason: str, now: datetime) -> bool:
    """End a model's rollout and its endpoint; its history, versions and prediction log stay.

    The ledger says so first: where the endpoint's vendor is away or the caller dies, another call completes it.

    Returns:
        False where the vendor ends no endpoints, so that whatever answers goes on.

    Raises:
        Refused: nobody is named, or no reason given, or the team is at another site than this process.
        NotFound: it was never deployed.
    """
    signed(actor, reason, "a retirement")
    platform.environment.refuse_elsewhere(ref.team)
    rollouts.end(platform, ref, actor, reason, now)
    with platform.ledger.writing(ref) as connection:
        if deployments.read(connection, ref) is None:
            raise NotFound(f"{ref} was never deployed", "see 'loopline model status'")
        deployments.write(
            connection, Deployment(ref, 0, None, None, 0), Entry(CHANGED, now, *ref, "", "", actor, reason)
        )
    ends = platform.serving.let_go(ref.dotted)
    deployments.carry_out(platform, ref)  # last: who deploys it anew meanwhile keeps the endpoint
    return ends
