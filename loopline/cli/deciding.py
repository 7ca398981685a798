"""Authorization of commands: which action each command asks the policies for, before it does anything.

A command that is not in ``DECIDING`` changes nothing that a person answers for, or its right is another one's: of files
and databases.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import click

    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.policies.question import Asked, Resource

Given = Mapping[str, Any]
"""The command's own parameters by name."""


@dataclass(frozen=True)
class Deciding:
    """What a command asks: the action, of what, and which parameters make it this very thing for four eyes.

    ``environment`` is the parameter that names another environment file than the one in force. ``goes_on`` says what is
    asked instead where a version is let go on that would wait: that promotes it.
    """

    action: str | Callable[[Platform, Given], str]
    resource: Callable[[Platform, Given], Resource]
    about: tuple[str, ...] = ()
    environment: str = ""
    goes_on: Callable[[Platform, Given, Asked], Asked] | None = None


@contextmanager
def allowed(ctx: click.Context) -> Iterator[None]:
    """Let a command run if policies let the person, and let what it writes into the record name them.

    They are asked where the command decides something and the environment says who may decide.

    Raises:
        Denied: this one may not. LooplineError: nobody knows of what it would be done, or the files do not fit.
    """
    policy = _policy(ctx)
    if not policy:
        yield
        return
    from loopline.platform_core.audit.origin import acting

    with acting(policy=policy):
        yield


def _policy(ctx: click.Context) -> str:
    deciding = DECIDING.get(_path(ctx))
    if deciding is None:
        return ""
    from pathlib import Path

    from loopline.platform_core import environment

    given = dict(ctx.params)
    file = Path(given[deciding.environment]) if deciding.environment else None
    return _ask(deciding, given, file) if environment.guarded(file) else ""


def _ask(deciding: Deciding, given: Given, file: Any) -> str:
    from loopline.cli.subject import decider
    from loopline.platform_core import environment
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.policies import asking

    platform = Platform(environment.read(file, only=()))
    try:
        asked = _asked(platform, deciding, given)
        who = decider(given.get("by"))
        return asking.refuse_denied(platform, who.name, asked, str(given.get("reason") or ""), who.groups)
    finally:
        platform.close()


def _asked(platform: Platform, deciding: Deciding, given: Given) -> Asked:
    from loopline.platform_core.policies.question import Asked

    action = deciding.action if isinstance(deciding.action, str) else deciding.action(platform, given)
    about = {_NAMES.get(name, name): str(given[name]) for name in deciding.about if given.get(name)}
    asked = Asked(action, deciding.resource(platform, given), about)
    return deciding.goes_on(platform, given, asked) if deciding.goes_on else asked


_NAMES = {"name": "gate"}
"""Parameters that are called otherwise where they are declared."""


def _path(ctx: click.Context) -> str:
    """Return the words by which a command is called, but for the program's own name."""
    words = []
    while ctx.parent is not None:
        words.append(ctx.info_name or "")
        ctx = ctx.parent
    return " ".join(reversed(words)) or (ctx.info_name or "")


def _model(name: str) -> Callable[[Platform, Given], Resource]:
    """Return what finds the model that a parameter names."""

    def found(platform: Platform, given: Given) -> Resource:
        from loopline.cli.subject import referenced

        return _resource_of(platform, referenced(platform, given[name]))

    return found


def _cycle(platform: Platform, given: Given) -> Resource:
    from loopline.cli.subject import open_cycle

    return _resource_of(platform, open_cycle(platform, given["name"]).ref)


def _resource_of(platform: Platform, ref: ModelRef) -> Resource:
    from loopline.cli.subject import declaration
    from loopline.platform_core.policies.asking import model_resource

    return model_resource(platform.environment, ref, declaration(ref))


def _source(platform: Platform, given: Given) -> Resource:
    from loopline.cli.subject import source_of
    from loopline.platform_core.policies.asking import team_resource

    team, source = source_of(given["source"])
    return team_resource(platform.environment, "Source", team.name, source.name)


def _quarantine(platform: Platform, given: Given) -> Resource:
    from loopline.platform_core import plugins
    from loopline.platform_core.errors import NotFound
    from loopline.platform_core.loop.cycles import quarantines
    from loopline.platform_core.policies.asking import team_resource

    for team in plugins.installed().teams:
        for one in quarantines.standing(platform.ledger, team.name):
            if one.quarantine_id == given["quarantine_id"]:
                return team_resource(platform.environment, "Source", one.team, one.source)
    raise NotFound(f"no quarantine {given['quarantine_id']!r} stands", "list them with 'loopline data list'")


def _view(platform: Platform, given: Given) -> Resource:
    from loopline.platform_core.features.registry.view_ref import ViewRef
    from loopline.platform_core.policies.asking import team_resource

    ref = ViewRef.parse(given["view"])
    return team_resource(platform.environment, "View", ref.team, f"{ref.view}@{ref.version}")


def _alarm(platform: Platform, given: Given) -> Resource:
    from loopline.platform_core import alarms
    from loopline.platform_core.policies.asking import subject_resource

    found = [one.alarm.subject for one in alarms.standing(platform.ledger) if one.alarm.cause == given["cause"]]
    return subject_resource(platform.environment, found[0] if found else None)


def _role(platform: Platform, given: Given) -> Resource:
    from loopline.platform_core.policies import lent

    named = given["role"] if "role" in given else lent.loan(platform, given["number"]).named
    return lent.resource(platform.environment, named)


def _person(platform: Platform, given: Given) -> Resource:
    """Return the kind of persons that is meant; which one is nobody's business who only decides who may."""
    from loopline.cli.subject import team_of
    from loopline.platform_core.policies.asking import team_resource

    entities = ",".join(sorted(one.partition("=")[0] for one in given["keys"]))
    return team_resource(platform.environment, "Person", team_of(given["team"]).name, entities)


def _erase(_: Platform, given: Given) -> str:
    return "show person" if given["check"] or given["pretend"] else "erase person"


def _everything(_: Platform, __: Given) -> Resource:
    from loopline.platform_core.policies.question import EVERYTHING

    return EVERYTHING


def _model_or_everything(platform: Platform, given: Given) -> Resource:
    return (_model("model") if given["model"] else _everything)(platform, given)


def _freeze(_: Platform, given: Given) -> str:
    return "freeze model" if given["model"] else "freeze everything"


def _thaw(_: Platform, given: Given) -> str:
    return "thaw model" if given["model"] else "thaw everything"


def _promote(_: Platform, given: Given) -> str:
    return "propose version" if given["via"] == "git" else "promote version"


def _resumed(platform: Platform, _: Given, asked: Asked) -> Asked:
    from loopline.platform_core.policies.asking import going_on

    return going_on(platform, asked)


def _stopped(platform: Platform, given: Given, asked: Asked) -> Asked:
    from loopline.platform_core.policies.asking import promoting

    return promoting(platform, asked) if given["go_on"] else asked


_DATA = Deciding("mend data", _source)
DECIDING: Mapping[str, Deciding] = {
    "gate override": Deciding("override gate", _model("model"), ("version", "name", "deploy")),
    "model promote": Deciding(_promote, _model("name"), ("version", "hold")),
    "model retire": Deciding("retire model", _model("name")),
    "rollout hold": Deciding("decide rollout", _model("model")),
    "rollout resume": Deciding("decide rollout", _model("model"), goes_on=_resumed),
    "rollback": Deciding("roll back", _model("model")),
    "freeze": Deciding(_freeze, _model_or_everything),
    "thaw": Deciding(_thaw, _model_or_everything),
    "cycle start": Deciding("open cycle", _model("model")),
    "cycle close": Deciding("end cycle", _cycle),
    "cycle proceed": Deciding("proceed cycle", _cycle),
    "drill": Deciding("drill model", _model("model")),
    "experiment start": Deciding("run experiment", _model("model")),
    "experiment stop": Deciding("run experiment", _model("model"), goes_on=_stopped),
    "features retire": Deciding("retire view", _view),
    "arrivals withdraw": _DATA,
    "arrivals restore": _DATA,
    "dead-letters replay": _DATA,
    "dead-letters retry": _DATA,
    "dead-letters dismiss": _DATA,
    "data quarantine": _DATA,
    "data release": Deciding("mend data", _quarantine),
    "alarms acknowledge": Deciding("take alarm", _alarm),
    "access request": Deciding("request role", _role),
    "access grant": Deciding("grant role", _role),
    "access refuse": Deciding("grant role", _role),
    "access end": Deciding("grant role", _role),
    "audit export": Deciding("export record", _everything),
    "audit retain": Deciding("retain record", _everything),
    "gitops apply": Deciding("apply promotions", _everything),
    "key create": Deciding("issue key", _everything),
    "key revoke": Deciding("issue key", _everything),
    "subject access": Deciding("show person", _person),
    "subject erase": Deciding(_erase, _person),
    "subject admit": Deciding("erase person", _person),
    **dict.fromkeys(
        (f"tenant {verb}" for verb in ("create", "suspend", "resume", "delete")),
        Deciding("rule tenants", _everything, ("tenant",)),
    ),
    "migrate": Deciding("move environment", _everything, environment="target"),
}
"""By the words of the command."""
