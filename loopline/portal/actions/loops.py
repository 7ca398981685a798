"""Portal actions that freeze and thaw one model or everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.platform_core.errors import Refused
from loopline.platform_core.loop import freezes
from loopline.portal.actions.action import Action, Field, Given, Outcome, Proposal, Signed
from loopline.portal.actions.subject import model_of, page_of

if TYPE_CHECKING:
    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.loop.ledger.ledger import Entry
    from loopline.portal.page_request import Portal

EVERYTHING = "everything"


def _propose_freeze(portal: Portal, given: Given) -> Proposal:
    ref = _subject(portal, given)
    before = _frozen(portal, ref)
    said = [f"{_name(ref).capitalize()} is frozen already, by {before.actor}: {before.reason}."] if before else []
    return Proposal(
        f"Freeze {_name(ref)}",
        [*said, "No cycle begins and no rollout goes forward until someone thaws it.", "Going back stays possible."],
        [Field("model", value=_name(ref))],
        f"Freeze {_name(ref)}",
        _page(ref),
        grave=ref is None,
    )


def _freeze(portal: Portal, given: Given, who: Signed) -> Outcome:
    ref, platform = _subject(portal, given), portal.platform
    freezes.freeze(platform.ledger, ref, who.by, who.reason, platform.clock.now())
    return Outcome(f"{_name(ref)} is frozen by {who.by}.", [(_name(ref), _page(ref))])


def _propose_thaw(portal: Portal, given: Given) -> Proposal:
    ref = _subject(portal, given)
    before = _frozen(portal, ref)
    if before is None:
        raise Refused(f"{_name(ref)} is not frozen", "look at the list of models for what is")
    return Proposal(
        f"Thaw {_name(ref)}",
        [f"Frozen by {before.actor}: {before.reason}.", "Cycles begin again, and rollouts go on where they stand."],
        [Field("model", value=_name(ref))],
        f"Thaw {_name(ref)}",
        _page(ref),
    )


def _thaw(portal: Portal, given: Given, who: Signed) -> Outcome:
    ref, platform = _subject(portal, given), portal.platform
    freezes.thaw(platform.ledger, ref, who.by, who.reason, platform.clock.now())
    left = freezes.frozen(platform.ledger, ref) if ref else None
    said = f"; but everything is still frozen by {left.actor}" if left else ""
    return Outcome(f"{_name(ref)} is free{said}.", [(_name(ref), _page(ref))])


def _subject(portal: Portal, given: Given) -> ModelRef | None:
    return None if given.get("model", "").strip() == EVERYTHING else model_of(portal, given)


def _frozen(portal: Portal, ref: ModelRef | None) -> Entry | None:
    """Return what froze the subject itself: a freeze of everything is thawed by itself."""
    with portal.platform.ledger.reading() as connection:
        return freezes.own(connection, ref or freezes.EVERYTHING)


def _name(ref: ModelRef | None) -> str:
    return str(ref) if ref else EVERYTHING


def _page(ref: ModelRef | None) -> str:
    return page_of(ref) if ref else "/models"


ACTIONS = (Action("freeze", _propose_freeze, _freeze), Action("thaw", _propose_thaw, _thaw))
