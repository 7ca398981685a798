"""Authorization of portal actions: what each asks the policies for; unlisted ones are denied."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loopline.platform_core import alarms
from loopline.platform_core.errors import Denied
from loopline.platform_core.policies import asking, lent
from loopline.platform_core.policies.question import EVERYTHING, Asked
from loopline.portal.actions.subject import model_of, number_of, required, role_of, source_of

if TYPE_CHECKING:
    from loopline.platform_core.policies.question import Resource
    from loopline.portal.actions.action import Given, Signed
    from loopline.portal.page_request import Portal

ALL = "everything"


@dataclass(frozen=True)
class Deciding:
    """What an action asks, of a model or of everything, of what, and which fields make it this very thing.

    What ``goes_on`` lets a version on that may be waiting for its promotion.
    """

    action: str
    resource: Callable[[Portal, Given], Resource]
    about: tuple[str, ...] = ()
    of_everything: str = ""
    goes_on: bool = False


def refuse_denied(portal: Portal, name: str, given: Given, who: Signed) -> str:
    """Ask whether a person may, and name what allows it; where the environment says nothing of access, everybody may.

    Raises:
        Denied: this one may not. LooplineError: the form names nothing that is there, or the files do not fit.
    """
    environment = portal.platform.environment
    if environment.access is None:
        return ""
    deciding = DECIDING.get(name)
    if deciding is None:
        raise Denied(f"no policy is asked about {name!r}", "nobody may do it here: name its right beside the others'")
    resource = deciding.resource(portal, given)
    action = deciding.of_everything if resource == EVERYTHING and deciding.of_everything else deciding.action
    about = {field: said for field in deciding.about if (said := _said(given.get(field, "")))}
    asked = Asked(action, resource, about)
    asked = asking.going_on(portal.platform, asked) if deciding.goes_on else asked
    return asking.refuse_denied(portal.platform, who.by, asked, who.reason, who.groups)


def _said(value: str) -> str:
    """Return a field as the command line says it; a tick is any value but these two, as the action takes it."""
    if value in {"", "false"}:
        return ""
    return {"true": "True", "on": "True"}.get(value.strip(), value.strip() or value)


def _model(portal: Portal, given: Given) -> Resource:
    ref = model_of(portal, given)
    return asking.model_resource(portal.platform.environment, ref, portal.declared(ref))


def _model_or_everything(portal: Portal, given: Given) -> Resource:
    return EVERYTHING if given.get("model", "").strip() == ALL else _model(portal, given)


def _source(portal: Portal, given: Given) -> Resource:
    team, source = source_of(portal, given)
    return asking.team_resource(portal.platform.environment, "Source", team.name, source.name)


def _alarm(portal: Portal, given: Given) -> Resource:
    cause = required(given, "cause")
    found = [one.alarm.subject for one in alarms.standing(portal.platform.ledger) if one.alarm.cause == cause]
    return asking.subject_resource(portal.platform.environment, found[0] if found else None)


def _asked_role(portal: Portal, given: Given) -> Resource:
    return lent.resource(portal.platform.environment, role_of(given))


def _role(portal: Portal, given: Given) -> Resource:
    return lent.resource(portal.platform.environment, lent.loan(portal.platform, number_of(given)).named)


def _everything(_: Portal, __: Given) -> Resource:
    return EVERYTHING


DECIDING: Mapping[str, Deciding] = {
    "roll-back": Deciding("roll back", _model),
    "hold": Deciding("decide rollout", _model),
    "resume": Deciding("decide rollout", _model, goes_on=True),
    "override": Deciding("override gate", _model, ("version", "gate", "deploy")),
    "freeze": Deciding("freeze model", _model_or_everything, of_everything="freeze everything"),
    "thaw": Deciding("thaw model", _model_or_everything, of_everything="thaw everything"),
    "replay": Deciding("mend data", _source),
    "acknowledge": Deciding("take alarm", _alarm),
    "start": Deciding("start team", _everything),
    "request-role": Deciding("request role", _asked_role),
    "grant-role": Deciding("grant role", _role),
    "refuse-role": Deciding("grant role", _role),
    "end-role": Deciding("grant role", _role),
}
"""By the action's name."""
