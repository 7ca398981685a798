"""Life cycle of an experiment: starts with a rollout, is looked at, and carries out its one verdict.

Whoever dies between verdict and what follows leaves a rollout that goes no further; the next look carries the verdict
out. Nothing here goes around a gate, a judge or a freeze: the rollout is begun, held and taken back as by the commands.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import update

from loopline.platform_core.contracts.serving import CANARY
from loopline.platform_core.errors import ContractBroken, InvalidSpec, NotFound, Refused
from loopline.platform_core.experiments import looking
from loopline.platform_core.experiments.outcomes import Source
from loopline.platform_core.experiments.settings import Settled
from loopline.platform_core.features.registry.outdated import refuse_outdated
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.cycles import gates
from loopline.platform_core.loop.deployments import deployments
from loopline.platform_core.loop.freezes import signed
from loopline.platform_core.loop.ledger import tables
from loopline.platform_core.loop.ledger.ledger import Entry, append
from loopline.platform_core.loop.rollouts import experiments, rollback, rollouts
from loopline.platform_core.loop.rollouts.decisions import Decision
from loopline.platform_core.loop.rollouts.experiments import End, Standing
from loopline.platform_core.loop.rollouts.pauses import HELD
from loopline.platform_core.loop.rollouts.rollout_table import ACTIVE, by_id, column, id_of
from loopline.platform_core.turn import start_rollout

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from loopline.platform_core.experiments.looking import Seen, Verdict
    from loopline.platform_core.loop.rollouts.experiments import Does
    from loopline.platform_core.loop.rollouts.rollout_table import RolloutRecord
    from loopline.platform_core.loop.rollouts.rollouts import Admit
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Model, Team

LOOK_HOURS = 1.0
"""How long a look of the platform's own stands; a person may look at any time, and the intervals hold all the same."""


def start(  # noqa: PLR0913, PLR0917 - an experiment is of a version, as settled, by whom and why
    platform: Platform, team: Team, model: Model, version: str, settled: Settled, actor: str, reason: str
) -> Standing:
    """Begin an experiment: with the version's rollout, or in the one that runs; repeated, it is the same one.

    The rollout takes its steps as far as the experiment's percent, and stays there. The experiment begins there.

    Raises:
        Refused: no person or reason is named, nothing is live beside it, its gates did not pass, another rollout runs,
            or its own is over or beyond the percent. NotFound: no such version. Unsupported: the endpoint has no split.
    """
    signed(actor, reason, "an experiment")
    ref, now, ledger = ModelRef(team.name, model.name), platform.clock.now(), platform.ledger
    platform.environment.refuse_elsewhere(ref.team)
    platform.serving.require([CANARY], ref.dotted)
    live = deployments.deployment(ledger, ref)
    if live is None or live.stable is None or live.stable.version == version:
        raise Refused(f"nothing else of {ref} answers beside version {version}", "let another version go live first")
    gates.require_passed(ledger, ref, version)
    running = rollouts.running(ledger, ref)
    mine = running if running is not None and running.version == version else None
    cycle = mine.cycle if mine else gates.cycle_of_version(ledger, ref, version)
    rollout_id = mine.rollout_id if mine else id_of(cycle, ref, version)
    told = settled.to_json()
    one = Standing(rollout_id, ref, cycle, version, live.stable.version, told, now, actor, reason)
    with ledger.reading() as connection:
        known = by_id(connection, rollout_id)
    if known is not None:
        _join(platform, known, one)
    else:
        split = experiments.split_at(model, one.percent)
        start_rollout(platform, ref, split, version, cycle, now, admit=_admitted(one))
    found = experiments.of(ledger, rollouts.rollout(ledger, rollout_id))
    assert found is not None  # written in the transaction above
    return found


def due(platform: Platform, record: RolloutRecord, now: datetime) -> bool:
    """Say whether a rollout's experiment is to be looked at, or its verdict to be carried out."""
    one = experiments.of(platform.ledger, record)
    if one is None or record.state not in ACTIVE or record.percent != one.percent:
        return False
    if one.end is not None:
        return one.end.does == "roll_back"
    last = experiments.looks(platform.ledger, one)
    return not last or now >= last[-1].at + timedelta(hours=LOOK_HOURS)


def step(platform: Platform, team: Team, model: Model, record: RolloutRecord) -> Seen | None:
    """Look at a rollout's experiment, write down what is seen, and carry out its verdict.

    None where there is none, or nothing can be said; why is written down as a look.

    Raises:
        StoreUnavailable: something did not answer; call again.
    """
    one = experiments.of(platform.ledger, record)
    seen = None
    if one is None or record.state not in ACTIVE or record.percent != one.percent:
        return seen
    if one.end is None:
        source, sides = Source(platform, team, model), (one.version, one.stable)
        try:
            settled = Settled.from_json(model, one.settled)
            seen = looking.look(source, settled, record.step_started_at, sides)
        except (ContractBroken, InvalidSpec, NotFound) as error:  # its judges must not wait for who mends it
            _write(platform, one, looking.nothing(platform.clock.now()), f"nothing can be said: {error}", None)
            return None
        verdict = looking.judge(settled, seen, record.step_started_at)
        _write(platform, one, seen, looking.said(settled, seen), verdict)
        if verdict is None:
            return seen
    carry_out(platform, one.rollout_id)
    return seen


def carry_out(platform: Platform, rollout_id: str) -> None:
    """Take the candidate back if its experiment's verdict says so; done already, it does nothing."""
    record = rollouts.rollout(platform.ledger, rollout_id)
    one = experiments.of(platform.ledger, record)
    if one is None or one.end is None or one.end.does != "roll_back" or record.state not in ACTIVE:
        return
    rollback.roll_back(platform, one.ref, one.end.actor, _why(one, one.end), platform.clock.now(), one.version)


def taken_back(platform: Platform, before: RolloutRecord) -> Decision | None:
    """Return what a verdict did to a rollout since it was read: it took the candidate back; None where it did not."""
    one = experiments.of(platform.ledger, before)
    if one is None or one.end is None or before.state not in ACTIVE:
        return None
    is_back = rollouts.rollout(platform.ledger, before.rollout_id).state == "rolled_back"
    return Decision("roll_back", 0, _why(one, one.end)) if is_back else None


def stop(platform: Platform, ref: ModelRef, actor: str, reason: str, *, go_on: bool = False) -> Standing:
    """End the experiment that runs, in a person's name: the candidate is taken back, or its rollout goes on.

    Raises:
        Refused: nobody is named, or no reason given. NotFound: no experiment runs.
    """
    signed(actor, reason, "the end of an experiment")
    one = running(platform, ref)
    does: Does = "promote" if go_on else "roll_back"
    with platform.ledger.writing(ref) as connection:
        experiments.close(connection, one, End(f"stopped by {actor}", reason, does, platform.clock.now(), actor))
    carry_out(platform, one.rollout_id)
    return experiments.every(platform.ledger, ref)[0]


def running(platform: Platform, ref: ModelRef) -> Standing:
    """Return the experiment of a model that runs.

    Raises:
        NotFound: none does.
    """
    found = [one for one in experiments.every(platform.ledger, ref) if one.end is None]
    if not found:
        raise NotFound(f"no experiment of {ref} runs", f"see 'loopline experiment show {ref}'")
    return found[0]


def _why(one: Standing, end: End) -> str:
    return f"experiment {one.name}: {end.verdict}: {end.reason}"


def _admitted(one: Standing) -> Admit:
    """Return what writes an experiment down in the transaction in which its rollout begins."""

    def admit(connection: Connection, ref: ModelRef, version: str) -> None:
        refuse_outdated(connection, ref, version)
        experiments.begin(connection, one)

    return admit


def _join(platform: Platform, known: RolloutRecord, one: Standing) -> None:
    with platform.ledger.writing(one.ref) as connection:
        record = by_id(connection, known.rollout_id)
        if record is None or record.state not in ACTIVE:
            said = known.state.replace("_", " ")
            raise Refused(
                f"version {one.version} of {one.ref} was rolled out before and is {said}",
                "take a version whose rollout has not ended; a cycle trains one",
            )
        if record.percent > one.percent:
            raise Refused(
                f"version {one.version} of {one.ref} has {record.percent} percent, more than {one.percent}",
                f"ask for --percent {record.percent} or more",
            )
        experiments.begin(connection, one)


def _write(platform: Platform, one: Standing, seen: Seen, said: str, verdict: Verdict | None) -> None:
    """Write a look down, and what is found; of two looks at once that find something the first counts."""
    details = {"rollout": one.rollout_id, **seen.to_json()}
    with platform.ledger.writing(one.ref) as connection:
        told = (seen.at, *one.ref, one.cycle, one.version, "platform", said, details)
        append(connection, Entry(experiments.LOOKED, *told))
        if verdict is None:
            return
        end = End(verdict.verdict, verdict.reason, verdict.does, seen.at, "platform")
        experiments.close(connection, one, end, {"seen": seen.to_json()})
        if verdict.does == "hold":
            _hold(connection, one, end)


def _hold(connection: Connection, one: Standing, end: End) -> None:
    """Keep the rollout until a person decides, in the same transaction."""
    here = (column.rollout_id == one.rollout_id) & (column.state == "running")
    if connection.execute(update(tables.rollouts).where(here).values(state="held")).rowcount:
        reason = f"experiment {one.name}: {end.verdict}"
        append(connection, Entry(HELD, end.at, *one.ref, one.cycle, one.version, "platform", reason))
