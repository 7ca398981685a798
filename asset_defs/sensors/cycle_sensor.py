"""Sensor of retraining cycles: opens one on drift, and starts the run of each open one.

The sensor only reconciles: whatever the ledger says is open is run, found again after a crash, and closed when its
run has failed for good. So a cycle may be opened by anyone who writes to the ledger (a person, a schedule, drift).
"""

import json

import dagster as dg

from loopline.asset_defs.keys import CAUSE_TAG, CYCLE_JOB, CYCLE_TAG, MODEL_TAG, TURN, key
from loopline.asset_defs.private.dagster_private import CheckOutcome, finished_checks
from loopline.asset_defs.redacting import redacting
from loopline.asset_defs.runs.run_quota import with_room
from loopline.asset_defs.runs.runs import IN_PROGRESS, LOOK_SECONDS, statuses
from loopline.asset_defs.runs.turns import dropped
from loopline.platform_core import turn
from loopline.platform_core.errors import Refused
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.cycles import cycles, gates
from loopline.platform_core.loop.cycles.cycles import Cycle
from loopline.platform_core.loop.rollouts import rollouts
from loopline.platform_core.platform import Platform
from loopline.platform_core.specs import Model, Team

ATTEMPTS = 3
"""A run that died is started again; after so many the cycle has failed."""


def cycle_sensor(team: Team) -> dg.SensorDefinition:
    """Build the one sensor that turns the loop for all models of a team."""

    @dg.sensor(
        name="loopline_cycle_sensor",
        job_name=CYCLE_JOB,
        minimum_interval_seconds=LOOK_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Drift opens a cycle; open cycles are run",
    )
    @redacting
    def loop(context: dg.SensorEvaluationContext, platform: dg.ResourceParam[Platform]) -> dg.SensorResult:
        seen, said = _open_for_drift(context, platform, team)
        names = {model.name for model in team.models}
        waiting = [c for c in cycles.open_cycles(platform.ledger) if c.ref.team == team.name and c.ref.model in names]
        held = {cycle.cycle_id: turn.held_by(platform, team, team.model(cycle.ref.model), cycle) for cycle in waiting}
        turn.release(platform, team, [cycle.ref for cycle in waiting])
        said += [f"cycle {name} is held: {'; '.join(reasons)}" for name, reasons in held.items() if reasons]
        free = [cycle for cycle in waiting if not held[cycle.cycle_id]]
        wanted = [request for cycle in free if (request := _run_for(context, platform, cycle))]
        by_name = {cycle.cycle_id: cycle for cycle in free}

        def refuse(request: dg.RunRequest) -> None:
            cycle = by_name[request.tags[CYCLE_TAG]]
            turn.refuse_without_room(platform, team.model(cycle.ref.model), cycle)

        requests, why = with_room(context.instance, platform, wanted, refuse=refuse)
        said += why  # the cycle stays open, and its run is wanted again at each look
        return dg.SensorResult(
            run_requests=requests,
            cursor=json.dumps(seen),
            skip_reason=None if requests else "; ".join(said) or "no cycle waits for a run",
        )

    return loop


def _open_for_drift(
    context: dg.SensorEvaluationContext, platform: Platform, team: Team
) -> tuple[dict[str, str | int], list[str]]:
    """Open a cycle for each new alarm; return what was seen, and why an alarm did not open one."""
    seen: dict[str, str | int] = json.loads(context.cursor or "{}")
    checks = {dg.AssetCheckKey(key(team.name, "drift", m.name), "drift"): m for m in team.models}
    said = []
    for check, outcome in finished_checks(context.instance, list(checks)).items():
        model = checks[check]
        before = seen.get(model.name, 0)
        if before == outcome.name or (isinstance(before, int) and outcome.record_id <= before):
            continue  # a number is what cursors held before
        seen[model.name] = outcome.name
        if not outcome.passed:
            said += _open(platform, team, model, outcome)
    return seen, said


def _open(platform: Platform, team: Team, model: Model, outcome: CheckOutcome) -> list[str]:
    ref = ModelRef(team.name, model.name)
    cause = f"drift: {outcome.reason}"
    try:
        cycles.open_cycle(platform.ledger, ref, model.drift, cause, f"drift:{ref}:{outcome.name}", platform.clock.now())
    except Refused as refused:
        return [str(refused)]
    return []


def _run_for(context: dg.SensorEvaluationContext, platform: Platform, cycle: Cycle) -> dg.RunRequest | None:
    """Request the run that an open cycle lacks, or close the cycle when it cannot be had."""
    runs = statuses(context.instance, {CYCLE_TAG: cycle.cycle_id})
    if any(status in IN_PROGRESS for status in runs) or (runs and _rolls_out(platform, cycle)):
        return None
    if runs and runs[0] == dg.DagsterRunStatus.CANCELED:  # by force, or its process was gone: nobody has ended it yet,
        context.log.info(dropped(platform, cycle))  # and nobody looks here again once the cycle is closed
    if runs and _ended(platform, cycle, runs):
        return None
    return _request(cycle, attempt=len(runs) + 1)


def _rolls_out(platform: Platform, cycle: Cycle) -> bool:
    """Say whether the turn is done: that a run succeeded proves nothing, a person may have run one step again."""
    record = rollouts.running(platform.ledger, cycle.ref)
    return record is not None and record.cycle == cycle.cycle_id


def _request(cycle: Cycle, attempt: int) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=f"{cycle.cycle_id}:{attempt}",
        asset_selection=[key(cycle.ref.team, stage, cycle.ref.model) for stage in TURN],
        tags={CYCLE_TAG: cycle.cycle_id, MODEL_TAG: str(cycle.ref), CAUSE_TAG: cycle.cause[:200]},
    )


def _ended(platform: Platform, cycle: Cycle, runs: list[dg.DagsterRunStatus]) -> bool:
    """Close the cycle if its gates refused it, if a person cancelled its run, or if that died too often.

    Dagster calls a run cancelled only if somebody asked for it; one that was interrupted otherwise has failed.
    """
    version = gates.version_of_cycle(platform.ledger, cycle.ref, cycle.cycle_id)
    verdict = gates.verdict_of(platform.ledger, cycle.ref, version) if version else None
    now = platform.clock.now()
    if verdict is not None and not verdict.passed:
        turn.reject(platform, cycle, verdict)
        return True
    if runs[0] == dg.DagsterRunStatus.CANCELED:
        cycles.close_cycle(platform.ledger, cycle.cycle_id, "failed", "its run was cancelled in Dagster", now)
        return True
    failures = runs.count(dg.DagsterRunStatus.FAILURE)
    if failures >= ATTEMPTS:
        cycles.close_cycle(platform.ledger, cycle.cycle_id, "failed", f"its run failed {failures} times", now)
        return True
    return False
