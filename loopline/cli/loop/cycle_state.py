"""State of a cycle, for commands that wait for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from loopline.platform_core.loop.cycles import cycles
from loopline.platform_core.loop.deployments import deployments
from loopline.platform_core.loop.rollouts import rollouts

if TYPE_CHECKING:
    from loopline.platform_core.loop.cycles.cycles import Cycle
    from loopline.platform_core.platform import Platform


@dataclass(frozen=True)
class Standing:
    """A cycle as it stands.

    ``state`` is its own, ``baking`` while its rollout has a first step behind it, or ``deploying`` while its version is
    to answer everybody and no endpoint answers with it yet.
    """

    cycle: Cycle
    state: str
    percent: int
    settled: bool
    sentence: str


def standing(platform: Platform, one: Cycle) -> Standing:
    """Read where a cycle stands; it is settled once it is closed or bakes, and its endpoint has what was asked of it.

    A model that is asked right after it went live would otherwise still be loading.
    """
    now = cycles.cycle(platform.ledger, one.cycle_id)
    rollout = rollouts.running(platform.ledger, one.ref)
    arrived, problem = _arrived(platform, one)
    if now.state == "promoted" and (problem or not arrived):
        said = f"cycle {now.cycle_id}: its version is to answer everybody, "
        said += f"and its endpoint does not: {problem}" if problem else "once its endpoint has loaded it"
        return Standing(now, "deploying", 0, arrived or bool(problem), said)
    if now.state != "open":
        said = f"cycle {now.cycle_id} {now.state.replace('_', ' ')}: {now.verdict}"
        return Standing(now, now.state, 0, arrived or bool(problem), said)
    if rollout is not None and rollout.cycle == now.cycle_id and rollout.step >= 0:
        said = f"cycle {now.cycle_id}: version {rollout.version} answers {rollout.percent} percent and bakes"
        return Standing(now, "baking", rollout.percent, arrived or bool(problem), said)
    if rollout is not None and rollout.cycle == now.cycle_id and rollout.in_shadow:
        said = f"cycle {now.cycle_id}: version {rollout.version} answers nobody yet: requests are replayed through it"
        return Standing(now, "baking", 0, arrived or bool(problem), said)
    return Standing(now, "open", 0, settled=False, sentence=f"cycle {now.cycle_id} is open")


def _arrived(platform: Platform, one: Cycle) -> tuple[bool, str]:
    """Say whether the endpoint is at the newest generation, and why it cannot come to it, "" for no trouble."""
    wanted = deployments.deployment(platform.ledger, one.ref)
    if wanted is None:
        return True, ""
    if not platform.environment.is_here(one.ref.team):
        return wanted.applied >= wanted.generation, ""
    seen = platform.serving.observe(one.ref.dotted)
    arrived = seen.generation is not None and seen.generation >= wanted.generation
    return arrived, "" if arrived else seen.problem
