"""Timeline of a cycle: its ledger entries as steps with figures and durations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from loopline.platform_core.loop.ledger.entry_kinds import described
from loopline.platform_core.loop.sentences import sentence
from loopline.portal.model.story import sentence_of

if TYPE_CHECKING:
    from loopline.platform_core.loop.ledger.ledger import Entry

HEADS = {
    "cycle.opened": "Opened",
    "cycle.reopened": "Taken up again",
    "cycle.doubted": "Data looked at",
    "cycle.went_on": "Let go on",
    "training_set.pinned": "Training set pinned",
    "model.registered": "Version registered",
    "gate.judged": "Gates judged",
    "gate.overridden": "Gate overridden",
    "rollout.started": "Rollout started",
    "rollout.shadowed": "In shadow",
    "rollout.advanced": "Advanced",
    "rollout.held": "Held",
    "rollout.resumed": "Resumed",
    "rollout.promoted": "Promoted",
    "rollout.watched": "Watch over",
    "rollout.rolled_back": "Rolled back",
    "deployment.changed": "Endpoint changed",
    "cycle.closed": "Closed",
}
FOLLOWS = "deployment.changed"
"""What a step of a rollout brings about: it is told in that step's last line."""


@dataclass(frozen=True)
class Figure:
    """A number with its name; ``bound`` is what it was held against, ``passed`` what came of that."""

    name: str
    value: float | str | None
    bound: float | None = None
    passed: bool | None = None
    detail: str = ""


@dataclass(frozen=True)
class Side:
    """What one side of a rollout answered in a step: requests, errors, p99 of the latency, mean score."""

    side: str
    requests: int
    errors: int
    p99_ms: float | None
    mean_score: float | None


@dataclass(frozen=True)
class Step:
    """One step. ``after_seconds`` is since the step before by the platform's clock, ``wall_seconds`` by the wall's.

    ``brought`` says what the endpoint answers from then on, "" where nothing changed.
    """

    entry_id: int
    kind: str
    head: str
    at: datetime
    after_seconds: float | None
    wall_seconds: float | None
    actor: str
    version: str
    text: str
    state: str
    figures: list[Figure]
    sides: list[Side]
    brought: str = ""


def steps(entries: Sequence[Entry]) -> list[Step]:
    """Tell entries, oldest first."""
    told_: list[Step] = []
    before: Entry | None = None
    for entry in entries:
        if entry.kind == FOLLOWS and told_ and told_[-1].kind.startswith("rollout.") and told_[-1].at == entry.at:
            told_[-1] = replace(told_[-1], brought=sentence(replace(entry, reason="")).rstrip(": "))
        else:
            told_.append(_step(entry, before))
            before = entry
    return told_


def _step(entry: Entry, before: Entry | None) -> Step:
    shown = sentence_of(entry)
    return Step(
        entry_id=entry.entry_id or 0,
        kind=entry.kind,
        head=_head(entry),
        at=entry.at,
        after_seconds=(entry.at - before.at).total_seconds() if before else None,
        wall_seconds=_wall(entry, before),
        actor=entry.actor,
        version=entry.version,
        text=shown.text if entry.kind == FOLLOWS else entry.reason,
        state=shown.state,
        figures=_figures(entry),
        sides=_sides(entry.details) if entry.kind.startswith("rollout.") else [],
    )


def _wall(entry: Entry, before: Entry | None) -> float | None:
    if before is None or entry.recorded_at is None or before.recorded_at is None:
        return None
    return (entry.recorded_at - before.recorded_at).total_seconds()


def _head(entry: Entry) -> str:
    head = HEADS.get(entry.kind, entry.kind)
    if entry.kind == "rollout.advanced" and "percent" in entry.details:
        return f"{head} to {entry.details['percent']} %"
    if entry.kind == "cycle.closed":
        return f"Closed: {str(entry.details['state']).replace('_', ' ')}"
    return head


def _figures(entry: Entry) -> list[Figure]:
    details = entry.details
    if entry.kind == "training_set.pinned":
        return [Figure(name, value) for name, value in ({"rows": details["rows"]} | described(details)).items()]
    if entry.kind == "model.registered":
        return [Figure(name, value) for name, value in details.get("metrics", {}).items()]
    if entry.kind == "gate.judged":
        return [_reading(reading) for reading in details["readings"]]
    if entry.kind.startswith("rollout."):
        return [_finding(finding) for finding in details.get("findings", ())]
    return []


def _reading(reading: Mapping[str, Any]) -> Figure:
    return Figure(reading["gate"], reading["value"], reading["bound"], reading["passed"], reading["detail"])


def _finding(finding: Mapping[str, Any]) -> Figure:
    return Figure(finding["judge"], finding["value"], finding["bound"], not finding["harm"], finding["detail"])


def _sides(details: Mapping[str, Any]) -> list[Side]:
    sides = ((side, details[side]) for side in ("candidate", "stable") if details.get(side))
    return [Side(name, f["requests"], f["errors"], f.get("p99_ms"), f.get("mean_score")) for name, f in sides]
