"""Authorization check before an action; a denial names the policy and who could grant it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from loopline.platform_core import plugins
from loopline.platform_core.audit import recording
from loopline.platform_core.errors import Denied, LooplineError
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop import erasures
from loopline.platform_core.loop.cycles import gates
from loopline.platform_core.loop.deployments import packages
from loopline.platform_core.loop.rollouts import rollouts
from loopline.platform_core.policies import lent, rules, second
from loopline.platform_core.policies.question import EVERYTHING, LOOP, Asked, Question, Resource, of_model
from loopline.platform_core.runtime.model.pickles import unpickled
from loopline.platform_core.specs.contracts import personal, residency

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from loopline.platform_core.environment import Environment
    from loopline.platform_core.loop.rollouts.rollouts import Admit, RolloutRecord
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.policies.engine import Decision
    from loopline.platform_core.policies.question import Kind
    from loopline.platform_core.policies.rules import Rules
    from loopline.platform_core.specs import Team
    from loopline.platform_core.specs.model import Model

TRAIN = "train model"
SERVE_PICKLES = "serve pickles"
MOST_NAMES = 5
"""So many of those who may are named in a denial."""


def refuse_denied(
    platform: Platform, person: str, asked: Asked, reason: str = "", groups: frozenset[str] = frozenset()
) -> str:
    """Hold a person to the policies of the environment, and name what allows it; without any, everybody may: "".

    ``groups`` are those that the person's provider says; they count where the file of roles has groups of these names.
    Where all that is missing is that another person asked for the same, the ledger says that this one has.

    Raises:
        Denied: no policy allows it, one forbids it, or one could not be asked.
        InvalidEnvironment: roles or policies do not hold together.
    """
    found = lent.rules_of(platform)
    if found is None:
        return ""
    if person == LOOP:
        raise Denied(f"{person!r} is nobody's name", "say who decides: it stands for what no person does")
    here = rules.circumstances(platform.environment)
    here = replace(here, version=asked.about.get("version", ""), gate=asked.about.get("gate", ""))
    question = found.question(person, asked.action, asked.resource, here, groups)
    decision = found.engine.decide(question)
    if decision.allowed:
        return _named(decision)
    if not found.lacks_second(question):
        raise _recorded(platform, question, decision, denial(found, question))
    if not second.taken(platform, person, reason, asked, lambda other: _seconded(found, question, other)):
        error = denial(found, question)
        error.fix = f"it is written down that {person} asked; {error.fix}"
        raise _recorded(platform, question, decision, error)
    return f"{_named(decision)}, seconded"


def _recorded(platform: Platform, question: Question, decision: Decision, error: Denied) -> Denied:
    """Write an attempt into the record that was denied, whatever becomes of the error."""
    told = {"subject": f"{question.action} of {question.resource}", "policy": _named(decision), "reason": error.problem}
    recording.note(platform.ledger, "attempt.denied", question.person, outcome="denied", **told)
    return error


def _named(decision: Decision) -> str:
    return ", ".join(policy.policy_id for policy in decision.policies)


def admitting(platform: Platform, ref: ModelRef, model: Model, version: str, admit: Admit) -> Admit:
    """Return what admits a version of a model to a rollout: ``admit``, and the policies that hold the loop itself.

    Where packages are signed, one that is unpickled where it is served needs a policy besides.

    Raises:
        InvalidEnvironment: roles or policies do not hold together. Untrusted: no known trainer signed its package.
        Denied: it is unpickled, and the environment says of nobody what he may.
    """
    found, pickles = rules.of(platform.environment), _pickles(platform, ref, version)
    if found is None:
        if pickles:
            raise _pickled(ref, version, pickles, "access names no policies")
        return admit
    question = of_version(platform, found, ref, model, version)

    def admitted(connection: Connection, ref: ModelRef, version: str) -> None:
        if not found.engine.decide(question).allowed:
            raise denial(found, question)
        served = replace(question, action=SERVE_PICKLES)
        if pickles and not found.engine.decide(served).allowed:
            raise _pickled(ref, version, pickles, denial(found, served).problem)
        admit(connection, ref, version)

    return admitted


def refuse_training(platform: Platform, team: Team, model: Model) -> None:
    """Hold the loop to the policies before it trains a model; without any, everything may be trained.

    Raises:
        Denied: a policy forbids it, such as that rows stay in their region. InvalidSpec: a contract cannot be read.
        InvalidEnvironment: roles or policies do not hold together.
    """
    found = rules.of(platform.environment)
    if found is None:
        return
    question = of_training(platform, found, team, model)
    decision = found.engine.decide(question)
    if not decision.allowed:
        raise _recorded(platform, question, decision, denial(found, question))


def of_training(platform: Platform, found: Rules, team: Team, model: Model) -> Question:
    """Return what the loop asks before it trains: with the regions in which its rows may be.

    Raises:
        InvalidSpec: a contract cannot be read.
    """
    resource = model_resource(platform.environment, ModelRef(team.name, model.name), model)
    resource = replace(resource, regions=residency.regions(team, model))
    return found.question(LOOP, TRAIN, resource, rules.circumstances(platform.environment))


def _pickles(platform: Platform, ref: ModelRef, version: str) -> list[str]:
    """Name what is unpickled where a version is served; nothing is asked of that where packages are not signed."""
    proof = platform.proof(ref, version)
    if proof is None:
        return []
    proven = proof.opened(packages.fetched(platform, ref, version))
    try:
        return unpickled(proven)
    finally:
        proven.release()


def _pickled(ref: ModelRef, version: str, pickles: list[str], why: str) -> Denied:
    return Denied(
        f"version {version} of {ref} is served by unpickling {', '.join(pickles)}, which runs code: {why}",
        "fit what is served as LightGBM's text or ONNX; or write a policy that permits 'serve pickles' for this team",
    )


def of_version(platform: Platform, found: Rules, ref: ModelRef, model: Model | None, version: str) -> Question:
    """Return what the loop asks before a version's rollout: with the gates that judged it, and whom it knows."""
    verdict = gates.verdict_of(platform.ledger, ref, version)
    judged = frozenset(reading.gate for reading in verdict.readings) if verdict else frozenset()
    erased = erasures.persons_of(platform.ledger, ref, version)
    here = replace(rules.circumstances(platform.environment), version=version, judged=judged, erased=erased)
    resource = replace(model_resource(platform.environment, ref, model), persons=_persons(ref, model))
    return found.question(LOOP, "start rollout", resource, here)


def _persons(ref: ModelRef, model: Model | None) -> bool | None:
    """Say whether a contract marks whom a model knows as persons; None where that cannot be told: it allows nothing."""
    if model is None:
        return None
    try:
        return bool(personal.entities(plugins.installed([ref.team]).team(ref.team), model))
    except (LooplineError, OSError):
        return None


def model_resource(environment: Environment, ref: ModelRef, declared: Model | None) -> Resource:
    """Return a model as policies see it; without its declaration where its team does not load."""
    return of_model(ref, environment.sites.of(ref.team), environment.sites.base(ref.team), declared)


def going_on(platform: Platform, asked: Asked) -> Asked:
    """Return what is asked where a rollout is let go on: of a version that waits for its promotion, to promote it."""
    rule, record = platform.environment.promotions, _rollout(platform, asked)
    waits = record is not None and record.state == "held" and record.step < 0
    return promoting(platform, asked) if waits and rule is not None and rule.required else asked


def promoting(platform: Platform, asked: Asked) -> Asked:
    """Return the question whether the version whose rollout is under way may be promoted by hand."""
    record = _rollout(platform, asked)
    return asked if record is None else Asked("promote version", asked.resource, {"version": record.version})


def _rollout(platform: Platform, asked: Asked) -> RolloutRecord | None:
    team, _, model = asked.resource.name.partition("/")
    return rollouts.running(platform.ledger, ModelRef(team, model))


def team_resource(environment: Environment, kind: Kind, team: str, name: str) -> Resource:
    """Return something of a team, such as a source, as policies see it."""
    return Resource(kind, f"{team}/{name}".rstrip("/"), environment.sites.base(team), environment.sites.of(team))


def subject_resource(environment: Environment, subject: ModelRef | None) -> Resource:
    """Return what an alarm is about: a model, something of a team, or the platform."""
    if subject is None:
        return EVERYTHING
    if subject.model:
        return model_resource(environment, subject, None)
    return team_resource(environment, "Source", subject.team, "")


def denial(found: Rules, question: Question) -> Denied:
    """Say why a question is denied, by which policy, and who can grant it."""
    decision = found.engine.decide(question)
    who = "the loop" if question.person == LOOP else question.person
    what = f"{who} may not {question.action} of {question.resource}"
    if decision.errors:
        return Denied(f"{what}: a policy could not be asked: {'; '.join(decision.errors)}", _MEND)
    if not found.lacks_second(question):  # whoever lacks more is told of that: a second person would not help
        decision = found.engine.decide(replace(question, here=replace(question.here, seconded_by=rules.ANOTHER)))
    if not decision.policies:
        return _unpermitted(found, question, what)
    forbids = "; ".join(f"policy {policy} forbids it" for policy in decision.policies)
    fix = "; ".join(f"{policy.policy_id} is lifted by {policy.grant}" for policy in decision.policies)
    return Denied(f"{what}: {forbids}", fix + _who(found, question))


_MEND = "mend the policy: until then nobody may; see 'loopline policy validate'"


def _unpermitted(found: Rules, question: Question, what: str) -> Denied:
    has = f"the roles {', '.join(sorted(question.roles))}" if question.roles else "no role"
    ways = found.granting(question)
    problem = f"{what}: no policy permits it to somebody with {has}"
    if not ways:
        return Denied(problem, "no role permits it: write a policy, or ask who keeps the environment's policies")
    fix = "; ".join(f"{role} may by policy {policy} (granted by {policy.grant})" for role, policy in ways)
    asked_for = f"; for some hours by 'loopline access request {ways[0][0]}'"
    return Denied(problem, f"{fix}{asked_for}{_who(found, question)}", ways[0][0])


def _who(found: Rules, question: Question) -> str:
    can = [name for name, _ in found.who_can(question.action, question.resource, question.here)]
    names = [name for name in can if name != question.person][:MOST_NAMES]
    names += found.groups_that_can(question.action, question.resource, question.here)[:MOST_NAMES]
    return f"; who may now: {', '.join(names)}" if names else ""


def _seconded(found: Rules, question: Question, other: str) -> bool:
    return found.engine.decide(replace(question, here=replace(question.here, seconded_by=other))).allowed
