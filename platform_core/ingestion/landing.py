"""Landing: arrivals become raw rows and dead letters, each row exactly once across crashes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from loopline.platform_core.alarms import events
from loopline.platform_core.errors import (
    CommitConflict,
    InvalidEnvironment,
    InvalidSpec,
    LooplineError,
    NotFound,
    Transient,
    Unsupported,
    is_panic,
)
from loopline.platform_core.foundation import tracing
from loopline.platform_core.foundation.names import ARRIVAL, LINE
from loopline.platform_core.ingestion import arrivals, copies, raw_rows, sequence
from loopline.platform_core.ingestion.checked_arrival import CheckedArrival, check_arrival
from loopline.platform_core.ingestion.inbox import Inbox, LandedIds, application
from loopline.platform_core.ingestion.landed import Landed
from loopline.platform_core.ingestion.landing_line import reached, record_landing
from loopline.platform_core.ingestion.letters import dead_shares, refusals
from loopline.platform_core.ingestion.letters.refusals import Refusal, Refusals
from loopline.platform_core.ingestion.streams import streaming
from loopline.platform_core.specs.contracts.source import STREAM

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.contracts.event_source import Arrival
    from loopline.platform_core.foundation.tracing import Spanned
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Source, Team

BATCH = 100
"""Arrivals a commit: one commit a file would take longer than the files themselves."""
TRACED_ARRIVALS = 128
"""Names of arrivals in a span, at most."""


def pending(
    platform: Platform, team: Team, source: Source, limit: int | None = None, refused: Refusals | None = None
) -> Sequence[Arrival]:
    """List arrivals that have not landed, oldest first, without those that the present contract refused.

    Of a stream they are the partitions that have records to land. Whoever asks for many sources reads the refused
    files of all of them at once, and gives each its own.
    """
    if source.arrives == STREAM:
        return streaming.pending(platform, team, source, limit)
    inbox = Inbox.of(platform, team, source)
    return _pending(inbox, limit, _refusals(inbox) if refused is None else refused)


def land(platform: Platform, team: Team, source: Source, limit: int | None = None) -> Landed:
    """Land what is pending, at most ``limit`` arrivals; an arrival is a file, or a record of a stream.

    Raises:
        InvalidSpec: the contract file is wrong. CommitConflict: another landing of the source is under way.
    """
    with tracing.span("land", team=team.name, source=source.name) as spanned:
        if source.arrives == STREAM:
            landed = streaming.catch_up(platform, team, source, limit)
        else:
            landed = _land_files(Inbox.of(platform, team, source), limit, spanned)
        spanned.note(rows=landed.rows, dead_letters=landed.dead, table_version=landed.version)
        return landed


def _land_files(inbox: Inbox, limit: int | None, spanned: Spanned) -> Landed:
    arrivals.tell(inbox)
    arrivals.tell_delivered_again(inbox)
    waiting, began = _pending(inbox, limit, _refusals(inbox)), reached(inbox)
    spanned.note(arrivals=[arrival.name for arrival in waiting[:TRACED_ARRIVALS]], arrivals_count=len(waiting))
    landed = Landed(0, (), 0, 0, {}, inbox.platform.lake.version(inbox.raw))
    for start in range(0, len(waiting), BATCH):
        landed += _land_batch(inbox, waiting[start : start + BATCH])
    if landed.refused:
        events.refused(inbox.platform, inbox.where, [*_refusals(inbox).standing.values()])
    names = {"first": waiting[0].name, "last": waiting[-1].name} if waiting else {}
    record_landing(inbox, landed, began, {**names, "refused": len(landed.refused)}, "arrivals")
    return landed


def _pending(inbox: Inbox, limit: int | None, known: Refusals) -> Sequence[Arrival]:
    landed = _landed_ids(inbox)
    others = inbox.platform.event_source.arrivals(inbox.where, known=landed)
    refusals.review(inbox, known, {a.arrival_id for a in others}, landed)
    version = inbox.contract.version
    waiting = [a for a in others if not known.holds(a.arrival_id, version)]
    return copies.left_out(inbox, known, waiting, landed)[:limit]


def _landed_ids(inbox: Inbox) -> LandedIds:
    """Ask the raw table what landed: since what is settled, else all at once.

    Where a lake cannot tell, what lies there is looked up.
    """
    lake, settled = inbox.platform.lake, inbox.platform.event_source.settled(inbox.where)
    newer = lake.committed_since(inbox.raw, settled) if settled else None
    if newer is not None:
        return LandedIds(lambda: lake.committed(inbox.raw), newer.mark, (settled, newer.transactions))
    try:
        return LandedIds(lake.committed(inbox.raw), lake.mark(inbox.raw))
    except Unsupported:
        every = inbox.platform.event_source.arrivals(inbox.where)
        ids = {name for arrival in every for name in (arrival.arrival_id, arrival.content)}
        return LandedIds(lake.committed(inbox.raw, [*map(application, ids)]))


def _refusals(inbox: Inbox) -> Refusals:
    return refusals.refusals(inbox.platform.ledger, inbox.team, inbox.source)


def _land_batch(inbox: Inbox, batch: Sequence[Arrival]) -> Landed:
    known = _refusals(inbox)
    verdicts = [_checked(inbox, arrival, known) for arrival in batch]
    refused = [verdict for verdict in verdicts if isinstance(verdict, Refusal)]
    checked = [verdict for verdict in verdicts if isinstance(verdict, CheckedArrival)]
    version, landed, odd = _appended(inbox, checked, known)
    shares = {each.arrival.arrival_id: each.share for each in landed}
    for arrival_id, share in dead_shares.high(shares.items()):
        dead_shares.record_dead_share(inbox, arrival_id, share)
    rows, dead = sum(share.rows for share in shares.values()), sum(share.dead for share in shares.values())
    reasons = sum((Counter(share.reasons) for share in shares.values()), Counter[str]())
    return Landed(len(landed), (*refused, *odd), rows, dead, reasons, version)


def _checked(inbox: Inbox, arrival: Arrival, known: Refusals) -> CheckedArrival | Refusal | None:
    """Check one arrival by itself, so that a bad file does not hide among good ones, nor hold them up.

    Whatever goes wrong with it, foreseen or not, is a refusal; what moved away meanwhile (None) is looked for again.
    """
    try:
        return check_arrival(inbox, arrival)
    except (Transient, InvalidSpec, InvalidEnvironment):
        raise  # it is not this file's fault
    except NotFound:
        return None
    except BaseException as error:
        if not isinstance(error, Exception) and not is_panic(error):
            raise
        return refusals.refuse(inbox, arrival, error, known)


def _appended(
    inbox: Inbox, checked: Sequence[CheckedArrival], known: Refusals
) -> tuple[int | None, Sequence[CheckedArrival], Sequence[Refusal]]:
    """Append a batch; where that fails for what nobody foresaw, each arrival by itself, and refuse those that fail.

    Where all fail it is the lake, not an arrival.
    """
    if not checked:
        return inbox.platform.lake.version(inbox.raw), (), ()
    try:
        return _append(inbox, checked), checked, ()
    except (LooplineError, MemoryError):
        raise
    except Exception:
        landed, failed = _one_by_one(inbox, checked)
        if not landed:
            raise
    refused = [refusals.refuse(inbox, arrival, error, known) for arrival, error in failed]
    return inbox.platform.lake.version(inbox.raw), landed, refused


def _one_by_one(
    inbox: Inbox, checked: Sequence[CheckedArrival]
) -> tuple[list[CheckedArrival], list[tuple[Arrival, Exception]]]:
    landed: list[CheckedArrival] = []
    failed: list[tuple[Arrival, Exception]] = []
    for each in checked:
        try:
            _append(inbox, [each])
            landed.append(each)
        except LooplineError:
            raise
        except Exception as error:  # noqa: BLE001 - one arrival must not hold up the others
            failed.append((each.arrival, error))
    return landed, failed


def _append(inbox: Inbox, checked: Sequence[CheckedArrival]) -> int:
    """Append letters, then rows: an arrival counts as landed only once nothing of it can be lost."""
    import pyarrow as pa

    lake, applications = inbox.platform.lake, [application(each.arrival.arrival_id) for each in checked]
    contents = {application(each.arrival.content) for each in checked} - {*applications}
    new = contents - lake.committed(inbox.raw, sorted(contents)).keys() if contents else contents
    good = [each.good for each in checked]
    letters = pa.concat_tables([each.letters for each in checked])
    before = lake.committed(inbox.dead_letters, applications)
    if before:  # a landing was killed half-way: what it made dead letters is left to their replay
        dead = _dead_already(inbox, before)
        good = [raw_rows.within(rows, dead, keep=False) for rows in good]
        letters = raw_rows.within(letters, dead, keep=False)
    if len(letters):
        names = {application(arrival_id) for arrival_id in letters[ARRIVAL].unique().to_pylist()}
        lake.append(inbox.dead_letters, letters, {name: before.get(name, 0) + 1 for name in sorted(names)})

    def transactions(first: int) -> dict[str, int]:
        return dict.fromkeys(sorted(new), first) | {name: first + place for place, name in enumerate(applications)}

    try:
        return sequence.append_next(inbox, good, transactions)
    except CommitConflict:
        version = lake.version(inbox.raw)
        if version is None or not {*applications} <= lake.committed(inbox.raw, applications).keys():
            raise
        return version  # another process landed the same


def _dead_already(inbox: Inbox, before: Mapping[str, int]) -> pa.ChunkedArray:
    import pyarrow as pa
    from pyarrow import compute

    letters = inbox.platform.lake.read(inbox.dead_letters, columns=[ARRIVAL, LINE])
    arrivals = pa.array([name.removeprefix(application("")) for name in before], pa.string())
    return raw_rows.keys(letters.filter(compute.is_in(letters[ARRIVAL], value_set=arrivals)))
