"""Portal action that acknowledges an alarm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.platform_core import alarms
from loopline.platform_core.errors import NotFound
from loopline.portal.actions.action import Action, Field, Given, Outcome, Proposal, Signed
from loopline.portal.actions.subject import required

if TYPE_CHECKING:
    from loopline.portal.page_request import Portal


def _propose(portal: Portal, given: Given) -> Proposal:
    cause = required(given, "cause")
    found = [one for one in alarms.standing(portal.platform.ledger) if one.alarm.cause == cause]
    if not found:
        raise NotFound(f"no alarm {cause!r} stands", "look at the list of alarms for those that do")
    taken = [f"Taken on already by {found[0].acknowledged}."] if found[0].acknowledged else []
    return Proposal(
        f"Acknowledge {cause}",
        [found[0].alarm.problem, *taken, "Nobody else is told of it; it ends by itself when all is well again."],
        [Field("cause", value=cause)],
        "Take it on",
        "/alarms",
    )


def _acknowledge(portal: Portal, given: Given, who: Signed) -> Outcome:
    taken = alarms.acknowledge(portal.platform, required(given, "cause"), who.by, who.reason)
    return Outcome(f"{who.by} has taken {taken.alarm.cause} on.", [("Alarms", "/alarms")])


ACTIONS = (Action("acknowledge", _propose, _acknowledge),)
