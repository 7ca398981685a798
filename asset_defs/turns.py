"""Which cycle a run belongs to."""

import dagster as dg

from loopline.asset_defs.keys import CYCLE_TAG
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop import cycles
from loopline.platform_core.platform import Platform
from loopline.platform_core.specs import Model, Team
from loopline.platform_core.turn import Turn


def turn_of(run: dg.DagsterRun, platform: Platform, team: Team, model: Model) -> Turn:
    """Return the run's turn: of the cycle in its tags, else of a cycle that this run opens.

    Raises:
        Refused: a cycle of the model is open already, or the model is frozen.
    """
    tagged = run.tags.get(CYCLE_TAG)
    if tagged:
        return Turn(platform, team, model, cycles.cycle(platform.ledger, tagged))
    opened = cycles.open_cycle(
        platform.ledger,
        ModelRef(team.name, model.name),
        model.drift,
        "started by hand in Dagster",
        f"run:{run.run_id}:{model.name}",
        platform.clock.now(),
        force=True,
    )
    return Turn(platform, team, model, opened)
