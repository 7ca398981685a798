"""Steps of a retraining cycle, each idempotent by its cycle: a crashed run is simply run again."""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loopline.platform_core import alarms
from loopline.platform_core.alarms import events
from loopline.platform_core.alarms.untrusted import alarmed, superseded
from loopline.platform_core.environment import carried
from loopline.platform_core.errors import LooplineError, NotFound, QuotaReached, Refused
from loopline.platform_core.features.registry.outdated import refuse_outdated
from loopline.platform_core.foundation import tracing
from loopline.platform_core.foundation.names import ModelRef, raw_table
from loopline.platform_core.ingestion.quality.doubts import doubts
from loopline.platform_core.loop import freezes
from loopline.platform_core.loop.cycles import cycles, gates
from loopline.platform_core.loop.deployments import packages
from loopline.platform_core.loop.ledger import causes
from loopline.platform_core.loop.ledger.entry_kinds import DOUBTED, PINNED, REGISTERED, WENT_ON
from loopline.platform_core.loop.ledger.ledger import Entry
from loopline.platform_core.loop.rollouts import rollouts
from loopline.platform_core.monitor.drift import moved_names
from loopline.platform_core.policies.asking import admitting, refuse_training
from loopline.platform_core.quotas import trainings
from loopline.platform_core.runtime.model import manifest
from loopline.platform_core.specs.judges.gates import Evidence, Segment
from loopline.platform_core.training import training_set
from loopline.platform_core.training.search import budget, trials

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

    from loopline.platform_core.foundation.tracing import Spanned
    from loopline.platform_core.ingestion.quality.doubts import Doubt
    from loopline.platform_core.loop.cycles.cycles import Cycle
    from loopline.platform_core.loop.cycles.gates import Verdict
    from loopline.platform_core.loop.rollouts.rollouts import Admit, RolloutRecord
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Model, Team
    from loopline.platform_core.training.training_set import TrainingSet

TRAIN = "loopline.platform_core.training.task:train"


@dataclass(frozen=True)
class Turn:
    """A cycle of a model of a team: what every step needs to know."""

    platform: Platform
    team: Team
    model: Model
    cycle: Cycle

    @property
    def ref(self) -> ModelRef:
        """Return the model's reference."""
        return ModelRef(self.team.name, self.model.name)

    def span(self, name: str, **attributes: Any) -> AbstractContextManager[Spanned]:
        """Trace a step in the cycle's trace."""
        named = {"team": self.team.name, "model": self.model.name} | attributes
        return tracing.span(name, cycle=self.cycle.cycle_id, **named)


def pin(turn: Turn) -> TrainingSet:
    """Build the cycle's training set of what is known now, or return the one that it has.

    Raises:
        InvalidSpec: a class or item of the model stands elsewhere than in the live version.
        Refused: checks of the model's sources fail. Denied: a policy does not let it be trained here.
    """
    earlier = _recorded(turn, PINNED)
    if earlier is not None:
        return training_set.from_json(earlier)
    refuse_training(turn.platform, turn.team, turn.model)
    moved_names.refuse(turn.platform, turn.ref, turn.model.target)
    _look_at_data(turn)
    with turn.span("training set") as spanned:
        pinned = training_set.build(turn.platform, turn.team, turn.model, turn.platform.clock.now())
        spanned.note(training_set=pinned.training_set_id, rows=pinned.rows, as_of=pinned.as_of.isoformat())
        spanned.link(_landings(turn, pinned))
        return training_set.from_json(_record(turn, PINNED, training_set.to_json(pinned)))


def held_by(platform: Platform, team: Team, model: Model, cycle: Cycle) -> list[str]:
    """Say what holds a cycle that has not learnt yet: checks of its sources that fail.

    Nothing holds one whose model only wants to be warned, or that a person let go on. What is found is in the cycle's
    story, and stands as an alarm while it holds.
    """
    turn = Turn(platform, team, model, cycle)
    if _recorded(turn, PINNED) is not None:
        return []
    found = doubts(platform, team, model)
    holds = [one.said for one in _not_let_go(turn, found)] if model.source_checks == "hold" else []
    _record_doubts(turn, [one.said for one in found], holds)
    return holds


def _not_let_go(turn: Turn, found: Sequence[Doubt]) -> list[Doubt]:
    """Leave out what a person let go: landings of before that, for good; what is so now, for that cycle."""
    words = turn.platform.ledger.entries(turn.ref, [WENT_ON])
    last, own = max((one.at for one in words), default=None), any(e.cycle == turn.cycle.cycle_id for e in words)
    let_go = [last is not None and one.landed_at <= last if one.landed_at else own for one in found]
    return [one for one, gone in zip(found, let_go, strict=True) if not gone]


def go_on(platform: Platform, cycle: Cycle, by: str, reason: str) -> None:
    """Let a cycle learn although checks of its sources fail.

    Raises:
        Refused: nobody is named, no reason given, or the cycle is closed.
    """
    freezes.signed(by, reason, "what lets a cycle go on")
    if cycle.state != "open":
        raise Refused(
            f"cycle {cycle.cycle_id} is closed: {cycle.state}", "open another one with 'loopline cycle start'"
        )
    entry = Entry(WENT_ON, platform.clock.now(), *cycle.ref, cycle.cycle_id, actor=by, reason=reason)
    platform.ledger.record(entry, once=f"{WENT_ON}:{cycle.cycle_id}")


def refuse_without_room(platform: Platform, model: Model, cycle: Cycle) -> None:
    """Claim what a cycle's training asks for, where the environment has quotas; an alarm stands while it waits.

    Of a cycle whose version is registered nothing is left to train.

    Raises:
        QuotaReached: others have claimed it, or there is no room for what it would write.
    """
    try:
        if platform.environment.quotas.limits() and _recorded_of(platform, cycle, REGISTERED) is None:
            if platform.storage is not None:
                platform.storage.refuse_full(f"the version of cycle {cycle.cycle_id}")
            trainings.claim(platform, model, cycle)  # last: what waits for something else claims nothing
    except QuotaReached as full:
        events.waiting(platform, cycle.ref, full)
        raise
    events.waiting(platform, cycle.ref, None)


def settled(platform: Platform, ref: ModelRef) -> None:
    """End the alarms of a model whose cycle is not held any more."""
    events.held(platform, ref, "", "")
    events.waiting(platform, ref, None)


def release(platform: Platform, team: Team, waiting: Collection[ModelRef]) -> None:
    """End the alarms of models that no cycle waits for any more."""
    for one in alarms.standing(platform.ledger):
        ref = one.alarm.subject if one.alarm.cause.startswith(("held:", events.WAITING)) else None
        if ref is not None and ref.team == team.name and ref not in waiting:
            settled(platform, ref)


def _look_at_data(turn: Turn) -> None:
    """Refuse to learn from what is held.

    Raises:
        Refused: checks of the model's sources fail.
    """
    holds = held_by(turn.platform, turn.team, turn.model, turn.cycle)
    if holds:
        problem = f"cycle {turn.cycle.cycle_id} is held: {'; '.join(holds)}"
        raise Refused(problem, events.how_to_let_go(turn.cycle.cycle_id))


def _record_doubts(turn: Turn, found: Sequence[str], holds: Sequence[str]) -> None:
    """Write down what is found, when it changes, and let it stand as an alarm while it holds."""
    before = _recorded(turn, DOUBTED)
    if found != (before["doubts"] if before else []):
        said = "; ".join(found) or "every check of its sources passes"
        details = {"doubts": list(found), "held": bool(holds)}
        entry = Entry(DOUBTED, turn.platform.clock.now(), *turn.ref, turn.cycle.cycle_id, reason=said, details=details)
        turn.platform.ledger.record(entry)
    events.held(turn.platform, turn.ref, turn.cycle.cycle_id, "; ".join(holds))


def fit(turn: Turn) -> Mapping[str, Any]:
    """Train where the environment computes, and register the version; returns what ``training.task.train`` does.

    Raises:
        QuotaReached: the environment has no room for it; nothing was begun.
        Denied: a policy does not let it be trained here.
    """
    earlier = _recorded(turn, REGISTERED)
    if earlier is not None:
        return earlier
    refuse_training(turn.platform, turn.team, turn.model)
    _refuse_given_up(turn)
    refuse_without_room(turn.platform, turn.model, turn.cycle)
    with turn.span("model") as spanned:
        try:
            fitted = _trained(turn)
        except LooplineError:
            _refuse_given_up(turn)  # that is why it was ended, whatever the vendor calls it
            raise
        spanned.note(version=str(fitted["version"]))
        return _record(turn, REGISTERED, fitted, version=str(fitted["version"]))


def _landings(turn: Turn, pinned: TrainingSet) -> list[str]:
    """Find the landings whose rows may be in the set: of the labels up to the pinned version, of the views' all."""
    team = turn.team.name
    every = {raw_table(team, view.source.name): (-1, sys.maxsize) for view in turn.model.features}
    return causes.landings(turn.platform, team, every | {name: (-1, found) for name, found in pinned.tables.items()})


def _trained(turn: Turn) -> dict[str, Any]:
    pinned = training_set.from_json(_required(turn, PINNED, "training set"))
    args = {
        "environment": carried(turn.platform.environment.path),
        "team": turn.team.name,
        "model": turn.model.name,
        "training_set": training_set.to_json(training_set.since_erasures(turn.platform.ledger, pinned)),
        "cycle": turn.cycle.cycle_id,
        "key": turn.cycle.cycle_id,
        "drill": turn.cycle.drill or None,
        **tracing.trace_details(),
    }
    if turn.model.search.cost is not None:
        args |= {"seconds": budget.seconds(turn.platform, turn.model)}
    if turn.model.search.parallel:
        args |= {"found": trials.searched(turn.platform, turn.model, args)}
    fitted: dict[str, Any] = turn.platform.compute.run(TRAIN, args, turn.model.compute, turn.cycle.cycle_id)
    if "usage" in fitted:
        fitted["usage"] |= _billed(turn)
    return fitted


def _billed(turn: Turn) -> dict[str, Any]:
    """Return what a service bills for the training, as the ledger keeps it; nothing where none says it."""
    with suppress(LooplineError):  # a figure of its cost is no reason to lose the version
        billed = turn.platform.compute.billed(turn.cycle.cycle_id, {"team": turn.team.name, "model": turn.model.name})
        if billed is not None:
            return {"billed_seconds": billed.seconds, "machine": billed.machine, "machines": billed.machines}
    return {}


def drop(platform: Platform, cycle: Cycle) -> bool:
    """End a cycle's training where the environment computes, if it is at work; says whether that can be done there.

    A run that is only interrupted leaves its training at work, and the next one finds it; this is for one that a
    person ended.
    """
    if "compute" not in platform.environment.bindings or "cancel" not in platform.compute.can:
        return False
    platform.compute.cancel(cycle.cycle_id, {"team": cycle.ref.team, "model": cycle.ref.model})
    return True


def gate(turn: Turn) -> Verdict:
    """Judge the cycle's version by the model's gates and write the verdict down; overrides given before count."""
    fitted = _required(turn, REGISTERED, "registered version")
    version, now = str(fitted["version"]), turn.platform.clock.now()
    with turn.span("gates", version=version) as spanned:
        verdict = gates.judge(turn.model, _evidence(fitted))
        gates.record_verdict(turn.platform.ledger, turn.ref, turn.cycle.cycle_id, version, verdict, now)
        known = gates.verdict_of(turn.platform.ledger, turn.ref, version) or verdict
        spanned.note(passed=known.passed, failed=[reading.gate for reading in known.failed])
        return known


def reject(platform: Platform, cycle: Cycle, verdict: Verdict) -> str:
    """Close a cycle, if it is open, whose version its gates refuse; returns why."""
    said = f"gates not passed: {', '.join(reading.gate for reading in verdict.failed)}"
    cycles.close_cycle(platform.ledger, cycle.cycle_id, "rejected", said, platform.clock.now())
    return said


def deploy(turn: Turn) -> RolloutRecord:
    """Start the rollout of the cycle's version; refused unless its own verdict passed or was overridden."""
    version = str(_required(turn, REGISTERED, "registered version")["version"])
    now = turn.platform.clock.now()
    _refuse_given_up(turn)
    with turn.span("deployment", version=version) as spanned:
        record = start_rollout(turn.platform, turn.ref, turn.model, version, turn.cycle.cycle_id, now)
        spanned.note(rollout=record.rollout_id, state=record.state)
        return record


def _refuse_given_up(turn: Turn) -> None:
    """Do nothing for a cycle that a person ended.

    Raises:
        Refused: this is one.
    """
    if cycles.given_up(turn.platform.ledger, turn.cycle):
        ended = cycles.cycle(turn.platform.ledger, turn.cycle.cycle_id)
        raise Refused(
            f"cycle {ended.cycle_id} is over: {ended.verdict}", "open another one with 'loopline cycle start'"
        )


def start_rollout(  # noqa: PLR0913, PLR0917 - as ``rollouts.start``
    platform: Platform,
    ref: ModelRef,
    model: Model,
    version: str,
    cycle: str,
    now: datetime,
    *,
    wished: bool = False,
    admit: Admit = refuse_outdated,
) -> RolloutRecord:
    """Start a version's rollout, refused also if features that it learnt from were retired or changed since.

    Where the environment requires a merged promotion, a version that is not ``wished`` by one waits; nobody meets it.
    What ``admit`` does, that refusal included, is done in the transaction that begins the rollout, after the policies
    of the environment were asked whether the loop may.

    Raises:
        Denied: a policy forbids it. Refused, NotFound, Unsupported: as ``rollouts.start``.
        Untrusted: its package is not what a known trainer signed; an alarm says so.
        InvalidSpec: a class or item of the version stands elsewhere than in the live one.
    """
    with alarmed(platform, ref, version):
        if model.target.placed:
            learnt = manifest.load(packages.fetched(platform, ref, version)).read_target()
            moved_names.refuse(platform, ref, learnt)
        asking = admitting(platform, ref, model, version, admit)
    rule = platform.environment.promotions
    waits = f"waits for its promotion to {version} to be merged" if rule and rule.required and not wished else ""
    found = rollouts.start(platform, ref, model, version, cycle, now, admit=asking, waits=waits)
    superseded(platform, ref, version)
    return found


def _evidence(fitted: Mapping[str, Any]) -> Evidence:
    segments = {
        column: {value: Segment(**segment) for value, segment in groups.items()}
        for column, groups in fitted["segments"].items()
    }
    return Evidence(fitted["metrics"], fitted["champion_metrics"], segments, fitted.get("baseline_metrics"))


def _record(turn: Turn, kind: str, details: Mapping[str, Any], version: str = "") -> dict[str, Any]:
    """Write a step down and return what counts: of two runs of a cycle at once, what the first one wrote."""
    now = turn.platform.clock.now()
    entry = Entry(kind, now, *turn.ref, turn.cycle.cycle_id, version, details=details)
    turn.platform.ledger.record(entry, once=f"{kind}:{turn.cycle.cycle_id}")
    return _required(turn, kind, kind)


def _recorded(turn: Turn, kind: str) -> dict[str, Any] | None:
    return _recorded_of(turn.platform, turn.cycle, kind)


def _recorded_of(platform: Platform, cycle: Cycle, kind: str) -> dict[str, Any] | None:
    newest = platform.ledger.entries(cycle.ref, [kind], limit=1, newest_first=True, cycle=cycle.cycle_id)
    return dict(newest[0].details) if newest else None


def _required(turn: Turn, kind: str, what: str) -> dict[str, Any]:
    found = _recorded(turn, kind)
    if found is None:
        raise NotFound(f"cycle {turn.cycle.cycle_id} has no {what} yet", "materialize the assets before it in one run")
    return found
