"""Commands ``loopline policy validate``, ``test``, ``who-can`` and ``why``: authorization policies."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from loopline.cli.command import Command
from loopline.cli.lazy import LazyGroup
from loopline.cli.output import Answer, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loopline.platform_core.environment import Access
    from loopline.platform_core.policies.question import Circumstances, Question, Resource
    from loopline.platform_core.policies.roles import Roles
    from loopline.platform_core.policies.rules import Rules

policy = LazyGroup(
    "policy",
    {
        "validate": ("loopline.cli.access.policy:validate", "Validate policies and roles: file:line, and the fix."),
        "test": ("loopline.cli.access.policy:test", "Run decision tables: test cases of who may do what."),
        "who-can": ("loopline.cli.access.policy:who_can", "Everybody who may do something."),
        "why": ("loopline.cli.access.policy:why", "Why a person may, or may not, and who can grant it."),
    },
    "Authorization by Cedar policies.",
)
_PRODUCTION = click.option(
    "--production/--no-production", default=None, help="As in a production environment; as this one is when left out."
)


@click.command("validate", cls=Command)
@click.argument("folder", required=False, type=click.Path(file_okay=False, path_type=Path))
def validate(folder: Path | None) -> Answer:
    """Hold the policies of FOLDER, or those and the roles of the environment, to the schema; those that ship too."""
    from loopline.platform_core.policies import files

    access = None if folder else _access()
    policies = files.load(folder or (access.policies if access else None))
    lines, data = [f"{len(policies)} policies hold together"], [vars(one) for one in policies]
    if access is not None:
        from loopline.platform_core.policies import roles

        found = roles.read(access.roles)
        lines.append(f"{len(found.people)} people have roles in {', '.join(found.teams) or 'no team of its own'}")
        lines += _of_nobody(found.teams)
    return Answer({"policies": data}, "\n".join(lines))


@click.command("test", cls=Command)
@click.argument("tables", nargs=-1, type=click.Path(dir_okay=False, path_type=Path))
def test(tables: tuple[Path, ...]) -> Answer:
    """Ask the decision tables named, or those beside the environment's policies; the one that ships, of what ships.

    Ends with 1 when a decision is another one than the table says, or another policy's.
    """
    from loopline.platform_core.policies import files, roles
    from loopline.platform_core.policies.tables import NAMES

    access = _access()
    own = access.policies if access else None
    held = roles.read(access.roles) if access else roles.Roles()
    asked, faults = _judged(tables or sorted(own.glob(NAMES) if own else ()), own, held)
    if not tables:
        more, also = _judged(sorted(files.SHIPPED.glob(NAMES)), None, held)
        asked, faults = asked + more, faults + also
    said = [*(f"{where}: {fault}" for where, fault in faults), f"{asked} decisions asked, {len(faults)} wrong"]
    data = {"decisions": asked, "wrong": [{"where": where, "fault": fault} for where, fault in faults]}
    return Answer(data, "\n".join(said), exit_code=1 if faults else 0)


def _judged(tables: Sequence[Path], folder: Path | None, roles: Roles) -> tuple[int, list[tuple[str, str]]]:
    """Ask tables of a folder's policies and those that ship; gives how many cases, and what is wrong, and where."""
    from loopline.platform_core.policies import files
    from loopline.platform_core.policies.engine import Engine
    from loopline.platform_core.policies.tables import read

    engine = Engine(files.load(folder))
    cases = [case for path in tables for case in read(path, roles)]
    return len(cases), [(case.where, fault) for case in cases if (fault := case.fault(engine))]


@click.command("who-can", cls=Command)
@click.argument("words", nargs=-1, required=True, metavar="ACTION RESOURCE")
@_PRODUCTION
def who_can(words: tuple[str, ...], production: bool | None) -> Answer:
    """Say who may do ACTION to RESOURCE: 'who-can decide rollout retail/cancellations'."""
    rules, here = _rules(production)
    action, resource = _meant(words)
    found, groups = rules.who_can(action, resource, here), rules.groups_that_can(action, resource, here)
    rows = [(name, "when another person asked for the same" if second else "") for name, second in found]
    rows += [(group, "where a provider says so") for group in groups]
    data = [{"person": name, "needs_second": second} for name, second in found]
    said = table(rows) if rows else f"nobody with a role may {action} of {resource}"
    return Answer({"action": action, "resource": resource.name, "people": data, "groups": groups}, said)


@click.command("why", cls=Command)
@click.argument("person")
@click.argument("words", nargs=-1, required=True, metavar="ACTION RESOURCE")
@_PRODUCTION
@click.option("--version", default="", help="To start a rollout of which version; the newest that gates judged.")
def why(person: str, words: tuple[str, ...], production: bool | None, version: str) -> Answer:
    """Say why PERSON may, or may not, do ACTION to RESOURCE, by which policy, and who can grant it.

    Of the loop itself it is asked as 'why loop start rollout TEAM/MODEL', or 'why loop train model TEAM/MODEL'.
    """
    from loopline.platform_core.policies.asking import TRAIN, denial
    from loopline.platform_core.policies.question import LOOP

    rules, here = _rules(production)
    action, resource = _meant(words)
    question = rules.question(person, action, resource, here)
    if person == LOOP and resource.kind == "Model":
        question = (_of_training if action == TRAIN else _of_version)(rules, question, version)
    found = rules.engine.decide(question)
    names = [str(policy) for policy in found.policies]
    data = {"person": person, "action": action, "resource": resource.name, "allowed": found.allowed}
    data |= {"roles": sorted(question.roles), "policies": names, "errors": found.errors}
    if found.allowed:
        return Answer(data, f"{person} may {action} of {resource}: policy {'; policy '.join(names)} permits it")
    error = denial(rules, question)
    return Answer(data | {"problem": error.problem, "fix": error.fix}, f"{error.problem}\n{error.fix}")


def _of_training(rules: Rules, question: Question, _: str) -> Question:
    """Return what the loop would ask before it trains."""
    from loopline.cli.subject import opened, team_of
    from loopline.platform_core.policies.asking import of_training

    name, _, model = question.resource.name.partition("/")
    team = team_of(name)
    with opened(only=()) as platform:
        asked = of_training(platform, rules, team, team.model(model))
    return replace(asked, here=replace(asked.here, production=question.here.production))


def _of_version(rules: Rules, question: Question, version: str) -> Question:
    """Return what the loop would ask of a version, with what is known of it."""
    from loopline.cli.subject import declaration, opened
    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.loop.cycles import gates
    from loopline.platform_core.policies.asking import of_version

    ref = ModelRef(*question.resource.name.split("/", 1))
    with opened(only=()) as platform:
        judged = platform.ledger.entries(ref, [gates.JUDGED], limit=1, newest_first=True)
        of = version or (judged[0].version if judged else "")
        asked = of_version(platform, rules, ref, declaration(ref), of)
    here = replace(asked.here, production=question.here.production)
    return replace(asked, action=question.action, here=here)


def _access() -> Access | None:
    """Return what the environment in force says of access; None where it says nothing, or there is none."""
    from loopline.platform_core import environment

    return environment.read(only=()).access if environment.guarded() else None


def _rules(production: bool | None) -> tuple[Rules, Circumstances]:
    """Return who may do what in the environment in force.

    Raises:
        NotFound: it says nothing of access, and so everybody may do everything.
    """
    from loopline.cli.subject import opened
    from loopline.platform_core.errors import NotFound
    from loopline.platform_core.policies import lent, rules

    with opened(only=()) as platform:
        bound = platform.environment
        found, here = lent.rules_of(platform), rules.circumstances(bound)
    if found is None:
        raise NotFound(
            f"{bound.path} says nothing of access: everybody may do everything", "add access: {roles: roles.yaml}"
        )
    return found, here if production is None else replace(here, production=production)


def _meant(words: Sequence[str]) -> tuple[str, Resource]:
    """Return the action and the resource that words mean, a model as its team declares it where that is installed."""
    from loopline.cli.subject import declaration
    from loopline.platform_core import environment
    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.policies.asking import model_resource, team_resource
    from loopline.platform_core.policies.question import ACTIONS
    from loopline.platform_core.policies.tables import of_name

    action, name = " ".join(words[:-1]), words[-1]
    if action not in ACTIONS:
        raise click.BadParameter(f"no action {action!r}: use one of {', '.join(ACTIONS)}", param_hint="ACTION")
    try:
        resource, bound = of_name(action, name), environment.read(only=())
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="RESOURCE") from None
    team, _, rest = name.partition("/")
    if resource.kind == "Model":
        ref = ModelRef(team, rest)
        return action, model_resource(bound, ref, declaration(ref))
    return action, resource if resource.kind == "Platform" else team_resource(bound, resource.kind, team, rest)


def _of_nobody(teams: Sequence[str]) -> list[str]:
    from loopline.platform_core import environment, plugins

    every = environment.sites()
    known = {every.base(name) for name in plugins.names()}
    return [f"note: roles name team {name}, and no such team is installed here" for name in teams if name not in known]
