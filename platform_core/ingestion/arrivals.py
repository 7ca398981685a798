"""What arrived of a source, and what of it is taken back: nothing is erased, a withdrawn arrival holds no longer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from loopline.platform_core.errors import NotFound, Refused
from loopline.platform_core.foundation.names import ARRIVAL, ARRIVED_AT
from loopline.platform_core.ingestion.held_rows import TAKEN_BACK
from loopline.platform_core.ingestion.holding import marks, with_values, withdrawn, without_marks
from loopline.platform_core.ingestion.inbox import Inbox
from loopline.platform_core.specs.source import STREAM

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Source, Team

WITHDRAWN, RESTORED, REDACTED = "arrival.withdrawn", "arrival.restored", "arrival.redacted"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SHORT = 12
"""Letters of an arrival's id where its name is not known any more."""


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

    ``name`` is its name or the beginning of its id. Features and what is online follow with the next materialization.

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
    version = platform.lake.append(inbox.raw, marks([one.arrival_id], op, now), count, dict(before))
    details = {"arrival": one.arrival_id, "name": one.name, "rows": one.rows, "version": version}
    kind = WITHDRAWN if op == "withdrawn" else RESTORED
    inbox.record(kind, f"{one.name}: {reason}", details, once=f"{kind}:{inbox.where}:{version}", actor=by)
    return replace(one, withdrawn_at=now if op == "withdrawn" else None)


_NONE = (_EPOCH, 0)
_OF_STREAMS = "send each record again as it should be, or with '_deleted': true; its key says which one is meant"


def _arrival_named(every: list[Landed], inbox: Inbox, name: str) -> Landed:
    """Find an arrival by its name, or by the beginning of its id."""
    named = [one for one in every if one.name == name] or [one for one in every if one.arrival_id.startswith(name)]
    if len(named) == 1:
        return named[0]
    fix = f"'loopline arrivals list {inbox.where}' names them"
    if not named:
        raise NotFound(f"{inbox.where} has no landed arrival {name!r}", fix)
    ids = ", ".join(one.arrival_id[:SHORT] for one in named)
    raise NotFound(f"{len(named)} arrivals of {inbox.where} are called {name!r}", f"give the beginning of an id: {ids}")


def _letters(inbox: Inbox) -> pa.Table:
    from loopline.platform_core.ingestion.letters import schema

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
    told = inbox.platform.ledger.entries(kinds=[WITHDRAWN, RESTORED, REDACTED])
    ours = {entry.details["arrival"]: entry.details["name"] for entry in told if entry.details["source"] == inbox.where}
    lettered = dict(zip(letters[ARRIVAL].to_pylist(), letters["name"].to_pylist(), strict=True))
    there = {each.arrival_id: each.name for each in inbox.platform.event_source.arrivals(inbox.where)}
    return {**ours, **lettered, **there}


def _instant(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)
