"""Where a cycle stands, for whoever waits for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from loopline.platform_core.loop import cycles, deployments, rollouts
from loopline.platform_core.loop.sentences import tell

if TYPE_CHECKING:
    from loopline.platform_core.loop.cycles import Cycle
    from loopline.platform_core.platform import Platform


@dataclass(frozen=True)
class Standing:
    """A cycle as it stands: ``state`` is its own, or ``baking`` while its rollout has a first step behind it."""

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
    if now.state != "open":
        said = f"cycle {now.cycle_id} {now.state.replace('_', ' ')}: {now.verdict}"
        return Standing(now, now.state, 0, _arrived(platform, one), said)
    if rollout is not None and rollout.cycle == now.cycle_id and rollout.step >= 0:
        said = f"cycle {now.cycle_id}: version {rollout.version} answers {rollout.percent} percent and bakes"
        return Standing(now, "baking", rollout.percent, _arrived(platform, one), said)
    if rollout is not None and rollout.cycle == now.cycle_id and rollout.in_shadow:
        said = f"cycle {now.cycle_id}: version {rollout.version} answers nobody yet: requests are replayed through it"
        return Standing(now, "baking", 0, _arrived(platform, one), said)
    return Standing(now, "open", 0, settled=False, sentence=_last_entry(platform, one))


def _arrived(platform: Platform, one: Cycle) -> bool:
    """Say whether the endpoint serves the newest generation, or says why it cannot."""
    wanted = deployments.deployment(platform.ledger, one.ref)
    if wanted is None:
        return True
    if not platform.environment.is_here(one.ref.team):
        return wanted.applied >= wanted.generation
    seen = platform.serving.observe(one.ref.dotted)
    return bool(seen.problem) or (seen.generation is not None and seen.generation >= wanted.generation)


def _last_entry(platform: Platform, one: Cycle) -> str:
    entries = platform.ledger.entries(one.ref, limit=1, newest_first=True)
    return tell(entries[0]) if entries else f"cycle {one.cycle_id} is open"
