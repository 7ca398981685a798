"""History section of a model's page: ledger entries as sentences, newest first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from loopline.platform_core.loop import history
from loopline.platform_core.loop.sentences import OBSERVED, sentence

if TYPE_CHECKING:
    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.loop.ledger.ledger import Entry
    from loopline.portal.page_request import Portal

SHOWN = 30
KINDS_OF_STATE = {
    "good": ("promoted", "passed", "cleared", "thawed", "resumed"),
    "bad": ("rolled_back", "failed", "raised"),
    "warn": ("frozen", "held", "overridden", "rejected"),
}


@dataclass(frozen=True)
class Sentence:
    """One entry: ``at`` is the platform's clock, ``recorded_at`` the wall's; ``state`` colours it."""

    entry_id: int
    kind: str
    at: datetime
    recorded_at: datetime | None
    text: str
    actor: str
    cycle: str
    state: str


@dataclass(frozen=True)
class StoryPart:
    """A part of the ledger, of ``everything`` or without observations.

    ``older`` is the entry before which the next part begins, None at the end.
    """

    sentences: list[Sentence]
    everything: bool
    before: int | None
    older: int | None


def read(portal: Portal, ref: ModelRef, before: int | None = None, *, everything: bool = False) -> StoryPart:
    """Read the newest entries of a model, or those before an entry."""
    without = () if everything else OBSERVED
    entries = history.newest(portal.platform.ledger, ref, SHOWN + 1, before, without)
    shown = [sentence_of(entry) for entry in entries[:SHOWN]]
    return StoryPart(shown, everything, before, shown[-1].entry_id if len(entries) > SHOWN else None)


def sentence_of(entry: Entry) -> Sentence:
    """Tell an entry."""
    plain = (entry.entry_id or 0, entry.kind, entry.at, entry.recorded_at, sentence(entry), entry.actor, entry.cycle)
    return Sentence(*plain, _state(entry))


def _state(entry: Entry) -> str:
    if entry.kind in {"gate.judged", "skew.checked"}:
        return "good" if entry.details.get("passed") else "bad"
    if entry.kind == "drift.window":
        return "warn" if entry.reason.startswith("drifted") else "idle"
    word = str(entry.details.get("state") or entry.kind.rpartition(".")[2])
    return next((state for state, words in KINDS_OF_STATE.items() if word in words), "idle")
