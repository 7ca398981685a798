"""Event scoring: updates windowed state with each event, then predicts with the features of that moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from loopline.platform_core.errors import BadRequest, ContractBroken, NotFound, TaskFailed
from loopline.platform_core.ingestion.inbox import Inbox
from loopline.platform_core.redaction import redacted
from loopline.platform_core.scoring.event_batch import answers
from loopline.platform_core.scoring.event_state import EventState, Seen
from loopline.platform_core.scoring.events import Events
from loopline.platform_core.scoring.stream_records import ScoringRow, answered, dead, one_row

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.contracts.event_stream import Record
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.runtime.answering.inference import Inference
    from loopline.platform_core.runtime.answering.recipe import Recipe
    from loopline.platform_core.runtime.model.manifest import Manifest
    from loopline.platform_core.scoring.stream_log import StreamLog
    from loopline.platform_core.specs import Team

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Answers = list[tuple[str, "Record"]]
"""Each with the stream on which it is said."""


@dataclass(frozen=True)
class EventScoring:
    """What scores events for one model version; ``name`` names a record in the log."""

    state: EventState
    time: str
    model: str
    target: str
    name: Callable[[Mapping[str, Any]], str]

    def said(
        self, inference: Inference, log: StreamLog, records: pa.Table, rows: Sequence[Mapping[str, Any]]
    ) -> Answers:
        """Score a turn's records; gives answers and dead records in the order in which the records came.

        Raises:
            Transient: stream, lake, online store or log do not answer; state is to be taken back.
        """
        seen = self.state.see(rows, self.state.events.read(records))
        recipe = inference.route(self.model).stable.recipe
        asked = {place: self._asked(one, recipe) for place, one in enumerate(seen) if one.row and not one.reason}
        requests = [one_row(row, self.name(rows[place]), recipe, at_us) for place, (row, at_us) in asked.items()]
        told = dict(
            zip(asked, answers(inference, self.model, requests, lambda r: log.write_many(self.model, r)), strict=True)
        )
        found: Answers = []
        for place, (row, one) in enumerate(zip(rows, seen, strict=True)):
            name, reason, answer = self.name(row), one.reason, told.get(place)
            if isinstance(answer, Exception):
                reason = _reason(answer)
            elif answer is not None:
                found.append((self.target, answered(row["key"], asked[place][0], name, self.model, answer)))
            if reason:
                found.append((f"{self.state.events.inbox.where}.dead", dead(row["key"], row["value"], name, reason)))
        return found

    def _asked(self, seen: Seen, recipe: Recipe) -> tuple[ScoringRow, int]:
        """Return what an event asks, and when it happened (µs): its own columns stand for what no window gives."""
        row = seen.row
        assert row is not None
        entities = {name: row.get(name) for name in recipe.entities}
        features = {name: seen.features.get(name, row.get(name)) for name in recipe.requested}
        at_us = row[self.time]
        moment = (_EPOCH + timedelta(microseconds=at_us)).isoformat()
        return ScoringRow(entities, features, row[self.state.views[0].windows.entity], moment), at_us  # type: ignore[arg-type]


def event_scoring(  # noqa: PLR0913, PLR0917 - what it needs is the scorer's
    platform: Platform,
    team: Team | None,
    source: str,
    manifest: Manifest,
    target: str,
    name: Callable[[Mapping[str, Any]], str],
    report: Callable[[str], None],
) -> EventScoring | None:
    """Return what scores a source's events for a version; None where its windows are not over this stream.

    Raises:
        NotFound: the team that declares the source does not load. ContractBroken: the contract lacks a column.
    """
    views = [view for view in manifest.windows if view.source == source]
    if not views:
        return None
    if team is None:
        raise NotFound(
            f"{manifest.model} looks at events of {source!r}, whose contract nobody here declares",
            "install the team's package where the stream is scored",
        )
    inbox = Inbox.of(platform, team, team.source(source.rpartition("/")[2]))
    known, looked_at = {column.name for column in inbox.contract.columns}, [*manifest.entities]
    for view in views:
        windows = view.windows
        looked_at += [windows.by, windows.time, windows.entity, *windows.columns]
    features = {feature for view in views for feature, _ in view.windows.features}
    looked_at += [one.name for one in manifest.features if one.served == "request" and one.name not in features]
    if missing := sorted(set(looked_at) - known):
        raise ContractBroken(
            f"{manifest.model} needs {', '.join(missing)} of each event, which contract {inbox.contract.name} has not",
            "make a feature of a window of it, Window.own(column) for what the event says, or take another column",
        )
    events = Events(inbox, views[0].windows.time, sorted(set(looked_at)), report)
    return EventScoring(EventState(events, views), views[0].windows.time, manifest.model, target, name)


def _reason(error: Exception) -> str:
    if isinstance(error, BadRequest | TaskFailed):
        return str(error)
    return redacted(f"cannot be answered: {type(error).__name__}: {error} → mend the record")
