"""Portal actions on rollouts: roll back, hold, resume, override a gate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.platform_core.errors import LooplineError, NotFound, Refused
from loopline.platform_core.loop.cycles import gates
from loopline.platform_core.loop.deployments import deployments
from loopline.platform_core.loop.rollouts import rollback, rollouts
from loopline.platform_core.turn import start_rollout
from loopline.portal.actions.action import Action, Field, Given, Outcome, Proposal, Signed
from loopline.portal.actions.subject import model_of, page_of, required

if TYPE_CHECKING:
    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.loop.cycles.gates import Verdict
    from loopline.platform_core.loop.deployments.deployments import Deployment
    from loopline.platform_core.loop.rollouts.rollouts import RolloutRecord
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Model
    from loopline.portal.page_request import Portal


def _propose_rollback(portal: Portal, given: Given) -> Proposal:
    ref, ledger = model_of(portal, given), portal.platform.ledger
    live, running = deployments.deployment(ledger, ref), rollouts.running(ledger, ref)
    if running is not None:
        taken, back = running.version, live.stable.version if live and live.stable else ""
        said = f"The rollout of version {taken} ends {running.where}, as rolled back."
    else:
        taken, back = _back_to(portal, ref, live)
        said = f"Version {taken} answers nobody any more."
    then = f"Version {back} answers everybody again at once." if back else "Nothing is live then."
    return Proposal(
        f"Take version {taken} of {ref} back",
        [said, then, "The loop goes on: freeze the model too if nothing new may follow."],
        [Field("model", value=str(ref)), Field("version", value=taken)],
        f"Take version {taken} back",
        page_of(ref),
        grave=True,
    )


def _roll_back(portal: Portal, given: Given, who: Signed) -> Outcome:
    ref, platform = model_of(portal, given), portal.platform
    version = required(given, "version")
    at = platform.clock.now()
    now = rollback.roll_back(platform, ref, who.by, who.reason, at, version, registry_later=True)
    live = f"version {now.stable.version} answers everybody" if now.stable else "nothing is live"
    return Outcome(f"Version {version} of {ref} is taken back; {live} (generation {now.generation}).", _see(ref))


def _propose_hold(portal: Portal, given: Given) -> Proposal:
    record = _running(portal, model_of(portal, given), "running")
    return Proposal(
        f"Hold the rollout of version {record.version} of {record.ref}",
        [f"It stays {record.where} until someone resumes it.", "Proven harm still takes it back."],
        [Field("model", value=str(record.ref))],
        "Hold it",
        page_of(record.ref),
    )


def _hold(portal: Portal, given: Given, who: Signed) -> Outcome:
    ref, platform = model_of(portal, given), portal.platform
    record = rollouts.hold(platform.ledger, ref, who.by, who.reason, platform.clock.now())
    return Outcome(f"The rollout of version {record.version} of {ref} is held {record.where}.", _see(ref))


def _propose_resume(portal: Portal, given: Given) -> Proposal:
    record = _running(portal, model_of(portal, given), "held")
    return Proposal(
        f"Let the rollout of version {record.version} of {record.ref} go on",
        [f"It is held {record.where}; at its next look the judges decide whether it goes forward."],
        [Field("model", value=str(record.ref))],
        "Let it go on",
        page_of(record.ref),
    )


def _resume(portal: Portal, given: Given, who: Signed) -> Outcome:
    ref, platform = model_of(portal, given), portal.platform
    record = rollouts.resume(platform.ledger, ref, who.by, who.reason, platform.clock.now())
    return Outcome(f"The rollout of version {record.version} of {ref} goes on, {record.where}.", _see(ref))


def _propose_override(portal: Portal, given: Given) -> Proposal:
    ref = model_of(portal, given)
    version, verdict = _verdict(portal, ref, given.get("version", "").strip())
    if not verdict.failed:
        raise Refused(f"version {version} of {ref} passes every gate: there is nothing to override", "roll it out")
    names = tuple(reading.gate for reading in verdict.failed)
    chosen = given["gate"] if given.get("gate") in names else names[0]
    deploy = "start its rollout, if it passes all its gates by that"
    return Proposal(
        f"Let version {version} of {ref} pass a gate that it failed",
        [*map(str, verdict.failed), "It passes in your name; a later verdict needs a new override."],
        [
            Field("model", value=str(ref)),
            Field("version", value=version),
            Field("gate", "Gate", chosen, "choice", names),
            Field("deploy", deploy, given.get("deploy", ""), "check"),
        ],
        "Override the gate",
        page_of(ref),
        grave=True,
    )


def _override(portal: Portal, given: Given, who: Signed) -> Outcome:
    ref, platform = model_of(portal, given), portal.platform
    version, gate = required(given, "version"), required(given, "gate")
    model = _deployed(portal, ref) if given.get("deploy", "") not in {"", "false"} else None
    now = platform.clock.now()
    verdict = gates.override(platform.ledger, ref, version, gate, who.by, who.reason, now)
    said = f"Version {version} of {ref} passes {gate} in the name of {who.by}"
    if not verdict.passed:
        left = ", ".join(reading.gate for reading in verdict.failed)
        return Outcome(f"{said}; it still fails {left}.", _see(ref))
    if model is None:
        return Outcome(f"{said}, and so all its gates.", _see(ref))
    try:
        return Outcome(f"{said}; {_started(portal.platform, ref, model, version)}.", _see(ref))
    except LooplineError as error:  # the override stands, whatever came of the rollout
        failed = f"{said}, and so all its gates, but the start of its rollout failed: {error.problem}."
        return Outcome(failed, _see(ref), [f"To mend it: {error.fix}"])


def _deployed(portal: Portal, ref: ModelRef) -> Model:
    """Return the declaration by which a version is rolled out; asked before anything is written."""
    model = portal.declared(ref)
    if model is None:
        fix = "mend the team's package, or override the gate without its rollout"
        raise NotFound(f"{ref} is not declared by a team that loads, and so cannot be rolled out", fix)
    return model


def _started(platform: Platform, ref: ModelRef, model: Model, version: str) -> str:
    cycle = gates.cycle_of_version(platform.ledger, ref, version)
    record = start_rollout(platform, ref, model, version, cycle, platform.clock.now())
    return "it goes live" if record.state == "promoted" else f"its rollout began, {record.where}"


def _verdict(portal: Portal, ref: ModelRef, version: str) -> tuple[str, Verdict]:
    ledger = portal.platform.ledger
    if not version:
        judged = ledger.entries(ref, [gates.JUDGED], limit=1, newest_first=True)
        version = judged[0].version if judged else ""
    if not version:
        raise NotFound(f"no version of {ref} was ever judged", "train one: gates judge after each training")
    return version, gates.require(gates.verdict_of(ledger, ref, version), ref, version)


def _back_to(portal: Portal, ref: ModelRef, live: Deployment | None) -> tuple[str, str]:
    before = rollback.stable_before(portal.platform.ledger.entries(ref, [deployments.CHANGED]))
    if live is None or live.stable is None or before is None:
        raise NotFound(f"{ref} has no earlier stable version", "fix forward: train and roll out a new version")
    return live.stable.version, before.version


def _running(portal: Portal, ref: ModelRef, state: str) -> RolloutRecord:
    record = rollouts.running(portal.platform.ledger, ref)
    if record is None or record.state != state:
        found = f"it is {record.state}" if record else "none is under way"
        raise NotFound(f"no rollout of {ref} is {state}: {found}", "look at the model's page")
    return record


def _see(ref: ModelRef) -> list[tuple[str, str]]:
    return [(str(ref), page_of(ref))]


ACTIONS = (
    Action("roll-back", _propose_rollback, _roll_back),
    Action("hold", _propose_hold, _hold),
    Action("resume", _propose_resume, _resume),
    Action("override", _propose_override, _override),
)
