"""Link between Dagster runs and retraining cycles: starts, cancellations and retries end in the ledger."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager

import dagster as dg

from loopline.asset_defs.keys import CAUSE_TAG, CYCLE_TAG, MODEL_TAG, TURN, WORK_TAG, key
from loopline.platform_core import turn
from loopline.platform_core.errors import LooplineError, Refused
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.cycles import cycles
from loopline.platform_core.loop.cycles.cycles import Cycle
from loopline.platform_core.loop.ledger.entry_kinds import PINNED, REGISTERED
from loopline.platform_core.platform import Platform
from loopline.platform_core.specs import Model, Team
from loopline.platform_core.turn import Turn

CANCELLED = {dg.DagsterRunStatus.CANCELING, dg.DagsterRunStatus.CANCELED}
OVER = {"promoted", "rolled_back"}
"""States of cycles that nothing takes up again; who runs one again whole wants another turn."""
BY_HAND = "started by hand in Dagster"


def turn_of(instance: dg.DagsterInstance, run: dg.DagsterRun, platform: Platform, team: Team, model: Model) -> Turn:
    """Return the run's turn.

    It is that of the cycle in the run's tags, if that is this model's and not over; of the newest cycle that has come
    as far, if the run selects only later steps; else of a cycle that this run opens, and is tagged with from then on.

    Raises:
        Refused: a cycle of the model is open already, the model is frozen, or nothing is there to go on with.
    """
    ref, steps = ModelRef(team.name, model.name), _steps(run, team, model)
    tagged = _tagged(run, platform, ref)
    if tagged is not None and not (tagged.state in OVER and "training_set" in steps):
        return Turn(platform, team, model, tagged)
    if "training_set" not in steps:
        return Turn(platform, team, model, _earlier(platform, ref, steps))
    opened = cycles.open_cycle(
        platform.ledger, ref, model.drift, BY_HAND, f"run:{run.run_id}:{model.name}", platform.clock.now(), force=True
    )
    if tagged is None and CYCLE_TAG not in run.tags:
        _tag(instance, run, opened)
    return Turn(platform, team, model, opened)


@contextmanager
def ending_with(context: dg.AssetExecutionContext, found: Turn) -> Iterator[None]:
    """End the training with the run, if a person cancels that.

    One that is interrupted otherwise (its process is killed, its code server goes) leaves the training at work: the
    cycle's next run finds it, and what it has come to.
    """
    try:
        yield
    except BaseException:  # Dagster interrupts a step by one
        run = context.instance.get_run_by_id(context.run_id)
        if run is not None and run.status in CANCELLED:
            context.log.warning(dropped(found.platform, found.cycle))
        raise


def dropped(platform: Platform, cycle: Cycle) -> str:
    """End a cycle's training, and say what came of that."""
    try:
        done = turn.drop(platform, cycle)
    except LooplineError as error:
        return f"the training of cycle {cycle.cycle_id} may be at work still: {error}"
    if done:
        return f"the training of cycle {cycle.cycle_id} is ended where it ran, as its run is cancelled"
    return f"the training of cycle {cycle.cycle_id} goes on: what this environment computes with cannot end it"


def _steps(run: dg.DagsterRun, team: Team, model: Model) -> Collection[str]:
    """Return the stages that a run selects of a model: all where it selects a job, none for its gates alone."""
    if run.asset_selection is None and run.asset_check_selection is None:
        return TURN
    selected = run.asset_selection or ()
    return [stage for stage in TURN if key(team.name, stage, model.name) in selected]


def _tagged(run: dg.DagsterRun, platform: Platform, ref: ModelRef) -> Cycle | None:
    """Return the cycle in the run's tags if it is of this model: a run for several has but one tag."""
    name = run.tags.get(CYCLE_TAG)
    found = cycles.cycle(platform.ledger, name) if name else None
    return found if found and found.ref == ref else None


def _earlier(platform: Platform, ref: ModelRef, steps: Collection[str]) -> Cycle:
    """Return the newest cycle of which the steps can go on: a cycle that they opened would lack what is before them.

    Raises:
        Refused: there is none.
    """
    kind, what = (PINNED, "training set") if "model" in steps else (REGISTERED, "version")
    newest = platform.ledger.entries(ref, [kind], limit=1, newest_first=True)
    if not newest:
        raise Refused(f"{ref} has no {what} yet", "materialize training set, model and deployment together")
    return cycles.cycle(platform.ledger, newest[0].cycle)


def _tag(instance: dg.DagsterInstance, run: dg.DagsterRun, opened: Cycle) -> None:
    """Write the cycle on its run, so that the sensor starts no second one, and a person's cancelling ends both."""
    now = instance.get_run_by_id(run.run_id)
    if now is not None and CYCLE_TAG not in now.tags:  # the first of several models
        about = {CYCLE_TAG: opened.cycle_id, MODEL_TAG: str(opened.ref), CAUSE_TAG: BY_HAND, WORK_TAG: "training"}
        instance.add_run_tags(run.run_id, about)
