"""What a service bills for a training is kept with the version that came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from loopline.platform_core import plugins, turn
from loopline.platform_core.contracts.compute import Billed
from loopline.platform_core.errors import StoreUnavailable
from loopline.platform_core.loop.cycles import cycles
from loopline.platform_core.loop.ledger.entry_kinds import PINNED, REGISTERED
from loopline.platform_core.platform import Platform
from loopline.platform_core.specs import Drift
from loopline.resources.in_process.compute import InProcessCompute


class BillingCompute(InProcessCompute):
    """Bills a minute of two machines for each task of a team's, or is away when it is asked."""

    can = frozenset({"billed"})
    away: bool = False

    def billed(self, key: str, args: Mapping[str, Any] | None = None) -> Billed | None:
        """Say so."""
        if self.away:
            raise StoreUnavailable("nobody answers", "try again")
        return (
            Billed(60.0, "large", 2) if key in self._results and args == {"team": "parcels", "model": "late"} else None
        )


@pytest.mark.parametrize("away", [False, True])
def test_what_is_billed_is_kept_and_is_no_reason_to_lose_a_version(post, away):
    """Beside what the training used itself; where the service does not say it, the version is registered without."""
    environment = post.open("memory").environment
    compute = BillingCompute(away=away)
    platform = Platform(replace(environment, bindings={**environment.bindings, "compute": compute}))
    team = plugins.installed(only=["parcels"]).team("parcels")
    model, now = team.model("late"), platform.clock.now()
    ref = turn.ModelRef("parcels", "late")
    cycle = cycles.open_cycle(platform.ledger, ref, Drift(), "test", f"billed {away}", now, force=True)
    step = turn.Turn(platform, team, model, cycle)
    turn._record(step, PINNED, post.pinned)
    turn.fit(step)
    cycles.close_cycle(platform.ledger, cycle.cycle_id, "promoted", "", now)
    kept = platform.ledger.entries(ref=ref, kinds=[REGISTERED])[-1].details["usage"]
    said = {name: kept.get(name) for name in ("billed_seconds", "machine", "machines")}
    told = dict.fromkeys(said) if away else {"billed_seconds": 60.0, "machine": "large", "machines": 2}
    assert said == told
    assert kept["wall_seconds"] > 0
    platform.close()
