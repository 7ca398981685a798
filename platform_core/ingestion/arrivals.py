"""Landed arrivals of a source: listed, withdrawn and restored; no row is deleted."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

import msgspec

from loopline.platform_core.errors import NotFound, Refused
from loopline.platform_core.foundation.names import ARRIVAL, ARRIVED_AT, OP, SAID, SEQUENCE
from loopline.platform_core.ingestion.current_row_reads import TAKEN_BACK, marks_of
from loopline.platform_core.ingestion.current_rows import mark, with_values, withdrawn, without_marks
from loopline.platform_core.ingestion.inbox import Inbox
from loopline.platform_core.ingestion.sequence import append_next
from loopline.platform_core.specs.contracts.source import STREAM

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.loop.ledger.ledger import Entry
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Source, Team

WITHDRAWN, RESTORED, REDACTED = "arrival.withdrawn", "arrival.restored", "arrival.redacted"
DELIVERED_AGAIN = "arrival.delivered_again"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SHORT = 12
"""Letters of an arrival's id where its name is not known any more; with fewer none is named."""


@dataclass(frozen=True)
class Landed:
    """An arrival that landed.

    ``rows`` are those that it brought or ended (``deletions``), ``dead_letters`` those that broke the contract, whether
    mended since or not; ``withdrawn_at`` is None while it holds.
    """

    arrival_id: str
    name: str
    arrived_at: datetime
    rows: int
    deletions: int
    dead_letters: int
    withdrawn_at: datetime | None = None


def landed(platform: Platform, team: Team, source: Source) -> list[Landed]:
    """List what landed of a source, the newest first."""
    inbox = Inbox.of(platform, team, source)
    if platform.lake.version(inbox.raw) is None:
        return []
    raw, letters = platform.lake.read(inbox.raw), _letters(inbox)
    names, back = _names(inbox, letters), {a: _instant(us) for a, us in withdrawn(raw).items()}
    rows, dead = _counted(without_marks(raw)), _counted(letters)
    values = {arrival: count for arrival, (_, count) in _counted(with_values(raw)).items()}
    found = [
        Landed(
            arrival,
            names.get(arrival, arrival[:SHORT]),
            at,
            rows.get(arrival, _NONE)[1],
            rows.get(arrival, _NONE)[1] - values.get(arrival, 0),
            dead.get(arrival, _NONE)[1],
            back.get(arrival),
        )
        for arrival, (at, _) in {**dead, **rows}.items()
    ]
    return sorted(found, key=lambda one: (one.arrived_at, one.name), reverse=True)


def withdraw(platform: Platform, team: Team, source: Source, name: str, reason: str, by: str) -> Landed:  # noqa: PLR0913, PLR0917
    """Take an arrival back: from now on none of its rows holds, mended ones included; what they replaced holds again.

    ``name`` is its name or the beginning of its id, 12 letters or more. Features and what is online follow with the
    next materialization.

    Raises:
        NotFound: no such arrival landed. Refused: it is withdrawn already, no reason is given, or it is a stream.
        CommitConflict: another arrival of the source is taken back at this moment.
    """
    return _withdraw_or_restore(platform, team, source, name, "withdrawn", (reason, by))


def restore(platform: Platform, team: Team, source: Source, name: str, reason: str, by: str) -> Landed:  # noqa: PLR0913, PLR0917
    """Undo a withdrawal: the arrival's rows hold again as if they had never ceased to, known from now on.

    Raises:
        NotFound, CommitConflict: as ``withdraw``. Refused: it is not withdrawn, or no reason is given.
    """
    return _withdraw_or_restore(platform, team, source, name, "restored", (reason, by))


def _withdraw_or_restore(  # noqa: PLR0913, PLR0917 - what is said of which arrival, and who says it why
    platform: Platform,
    team: Team,
    source: Source,
    name: str,
    op: Literal["withdrawn", "restored"],
    why: tuple[str, str],
) -> Landed:
    reason, by = why
    inbox = Inbox.of(platform, team, source)
    tell(inbox)
    if not reason.strip():
        raise Refused("no reason is given", "say why with --reason: it is what others will ask")
    if source.arrives == STREAM:
        raise Refused(f"{inbox.where} is a stream, whose records come one by one", _OF_STREAMS)
    one = _arrival_named(landed(platform, team, source), inbox, name)
    if (one.withdrawn_at is not None) == (op == "withdrawn"):
        raise Refused(
            f"{one.name} of {inbox.where} is {'' if op == 'withdrawn' else 'not '}withdrawn", "nothing is to be done"
        )
    now = max(platform.clock.now(), one.arrived_at, (one.withdrawn_at or _EPOCH) + timedelta(microseconds=1))
    before = platform.lake.committed(inbox.raw, [TAKEN_BACK])
    count = {TAKEN_BACK: before.get(TAKEN_BACK, 0) + 1}
    lies = {there.arrival_id: there.arrived_at for there in platform.event_source.arrivals(inbox.where)}
    said = msgspec.json.encode(_Said(one.name, by, reason, one.rows, lies.get(one.arrival_id))).decode()
    append_next(inbox, [mark(one.arrival_id, op, now, said)], lambda _: count, before)
    tell(inbox)
    return replace(one, withdrawn_at=now if op == "withdrawn" else None)


class _Said(msgspec.Struct, frozen=True):
    """What a withdrawal or a restoration says of itself, in its own commit; ``lay`` is the file's time then, if any."""

    name: str
    by: str
    reason: str
    rows: int
    lay: datetime | None


def tell(inbox: Inbox) -> None:
    """Write into the ledger what was withdrawn and restored, by whom and why: also what a killed command could not."""
    count = inbox.platform.lake.committed(inbox.raw, [TAKEN_BACK]).get(TAKEN_BACK, 0)
    if not count or count <= sum(e.details["source"] == inbox.where for e in _entries(inbox, WITHDRAWN, RESTORED)):
        return
    version = inbox.platform.lake.version(inbox.raw)
    for row in marks_of(inbox.platform.lake, inbox.raw).to_pylist():
        said = msgspec.json.decode(row[SAID], type=_Said)
        details = {"arrival": row[ARRIVAL], "name": said.name, "rows": said.rows, "version": version}
        kind = WITHDRAWN if row[OP] == "withdrawn" else RESTORED
        once = f"{kind}:{inbox.where}:{row[SEQUENCE]}"
        inbox.record(kind, f"{said.name}: {said.reason}", details, once=once, actor=said.by)


def tell_delivered_again(inbox: Inbox) -> None:
    """Write into the ledger that a withdrawn arrival lies there anew: its content landed, and lands no second time."""
    marks = marks_of(inbox.platform.lake, inbox.raw)
    newest = {row[ARRIVAL]: row for row in marks.to_pylist()}
    lay = {a: msgspec.json.decode(newest[a][SAID], type=_Said).lay for a in withdrawn(marks)}
    for there in inbox.platform.event_source.arrivals(inbox.where) if lay else ():
        if there.arrival_id in lay and there.arrived_at != lay[there.arrival_id]:
            problem = f"{there.name} came again, of which the rows are withdrawn: none of them holds"
            fix = f"if it is right, 'loopline arrivals restore {inbox.where} {there.name} --reason …'"
            details = {"arrival": there.arrival_id, "name": there.name, "problem": problem, "fix": fix}
            once = f"{DELIVERED_AGAIN}:{inbox.where}:{there.arrival_id}:{there.arrived_at.isoformat()}"
            inbox.record(DELIVERED_AGAIN, f"{problem}; {fix}", details, once=once)


def _entries(inbox: Inbox, *kinds: str) -> list[Entry]:
    return inbox.platform.ledger.entries(kinds=kinds)


_NONE = (_EPOCH, 0)
_OF_STREAMS = "send each record again as it should be, or with '_deleted': true; its key says which one is meant"


def _arrival_named(every: list[Landed], inbox: Inbox, name: str) -> Landed:
    """Find an arrival by its name, or by the beginning of its id."""
    by_id = [one for one in every if len(name) >= SHORT and one.arrival_id.startswith(name)]
    named = [one for one in every if one.name == name] or by_id
    if len(named) == 1:
        return named[0]
    fix = f"'loopline arrivals list {inbox.where}' names them"
    if not named:
        raise NotFound(f"{inbox.where} has no landed arrival {name!r}", fix)
    ids = ", ".join(one.arrival_id[:SHORT] for one in named)
    raise NotFound(f"{len(named)} arrivals of {inbox.where} are called {name!r}", f"give the beginning of an id: {ids}")


def _letters(inbox: Inbox) -> pa.Table:
    from loopline.platform_core.ingestion.letters.letters import schema

    lake, wanted = inbox.platform.lake, [ARRIVAL, ARRIVED_AT, "name"]
    if lake.version(inbox.dead_letters) is None:
        return schema().empty_table().select(wanted)
    return lake.read(inbox.dead_letters, columns=wanted)


def _counted(rows: pa.Table) -> dict[str, tuple[datetime, int]]:
    """Return, by arrival, when it came (of letters let in later: the first) and how many rows there are."""
    found = rows.group_by(ARRIVAL).aggregate([(ARRIVED_AT, "min"), ([], "count_all")])
    came, counts = found[f"{ARRIVED_AT}_min"].to_pylist(), found["count_all"].to_pylist()
    return dict(zip(found[ARRIVAL].to_pylist(), zip(came, counts, strict=True), strict=True))


def _names(inbox: Inbox, letters: pa.Table) -> Mapping[str, str]:
    """Find out what arrivals were called: as they lie there, as letters say, and as the ledger was told."""
    told = _entries(inbox, WITHDRAWN, RESTORED, REDACTED)
    ours = {entry.details["arrival"]: entry.details["name"] for entry in told if entry.details["source"] == inbox.where}
    lettered = dict(zip(letters[ARRIVAL].to_pylist(), letters["name"].to_pylist(), strict=True))
    there = {each.arrival_id: each.name for each in inbox.platform.event_source.arrivals(inbox.where)}
    return {**ours, **lettered, **there}


def names_of(inbox: Inbox, arrivals: Collection[str]) -> list[str]:
    """Return what arrivals are called, or the beginning of the id of one whose name is not known any more."""
    known = _names(inbox, _letters(inbox))
    return [known.get(arrival, arrival[:SHORT]) for arrival in arrivals]


def _instant(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)
