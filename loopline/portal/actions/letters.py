"""Portal action that replays dead letters."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from loopline.platform_core.errors import Refused
from loopline.platform_core.ingestion.inbox import Inbox
from loopline.platform_core.ingestion.letters import dead_letters
from loopline.portal.actions.action import Action, Field, Given, Outcome, Proposal, Signed
from loopline.portal.actions.subject import source_of

if TYPE_CHECKING:
    from loopline.portal.page_request import Portal

SHOWN = 8


def _propose(portal: Portal, given: Given) -> Proposal:
    team, source = source_of(portal, given)
    name, contract = f"{team.name}/{source.name}", Inbox.of(portal.platform, team, source).contract
    counts = portal.caches.letters(portal.platform.lake, team.name, source.name)
    if not counts.letters:
        raise Refused(f"{name} has no open dead letter", "there is nothing to replay")
    return Proposal(
        f"Replay the dead letters of {name}",
        [
            f"{counts.letters:,} open letters are held against the contract as it is now, version {contract.version}.",
            "Rows that keep it land at their own event time, and are known from now on; the others stay letters.",
        ],
        [Field("source", value=name)],
        "Replay them",
        f"/dead-letters/{name}",
    )


def _replay(portal: Portal, given: Given, who: Signed) -> Outcome:
    team, source = source_of(portal, given)
    done = dead_letters.replay(portal.platform, team, source, None, who.by, who.reason)
    name = f"{team.name}/{source.name}"
    left = Counter(reason for reasons in done.reasons.values() for reason in reasons).most_common(SHOWN)
    said = f"{done.replayed:,} rows of {name} landed, {done.still_dead:,} are still dead letters."
    said += f" {done.withdrawn:,} of withdrawn arrivals were left out." if done.withdrawn else ""
    return Outcome(said, [(name, f"/dead-letters/{name}")], [f"{reason}: {count:,}" for reason, count in left])


ACTIONS = (Action("replay", _propose, _replay),)
