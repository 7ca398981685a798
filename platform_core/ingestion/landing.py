"""Arrivals become raw rows and dead letters, each row once, whatever is killed in between."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from platform_core.contracts.engine import Checked
from platform_core.errors import ContractBroken
from platform_core.ingestion import raw_rows
from platform_core.ingestion.inbox import Inbox
from platform_core.ingestion.letters import letters_of
from platform_core.ingestion.row_changes import check_rows
from platform_core.names import ARRIVAL, LINE
from platform_core.observability import tracing
from platform_core.specs.source import STREAM

if TYPE_CHECKING:
    import pyarrow as pa

    from platform_core.contracts.event_source import Arrival
    from platform_core.observability.tracing import Spanned
    from platform_core.platform import Platform
    from platform_core.specs import Source, Team

BATCH = 100
"""Arrivals a commit: one commit a file would take longer than the files themselves."""
TRACED_ARRIVALS = 128
"""Names of arrivals in a span, at most."""
REFUSED, LANDED = "arrival.refused", "arrival.landed"


@dataclass(frozen=True)
class Refusal:
    """An arrival that is kept where it is, because as a whole it is not what the contract says."""

    name: str
    problem: str
    fix: str


@dataclass(frozen=True)
class Landed:
    """What a landing brought: arrivals, rows, dead letters by reason; ``version`` is the raw table's newest."""

    arrivals: int
    refused: tuple[Refusal, ...]
    rows: int
    dead: int
    reasons: Mapping[str, int]
    version: int | None

    def __add__(self, other: Landed) -> Landed:
        """Add up two batches; the later one knows the version."""
        return Landed(
            self.arrivals + other.arrivals,
            self.refused + other.refused,
            self.rows + other.rows,
            self.dead + other.dead,
            Counter(self.reasons) + Counter(other.reasons),
            other.version,
        )


def pending(platform: Platform, team: Team, source: Source, limit: int | None = None) -> Sequence[Arrival]:
    """List arrivals that have not landed, oldest first, without those that the present contract refused.

    Of a stream they are the partitions that have records to land.
    """
    if source.arrives == STREAM:
        from platform_core.ingestion import streaming  # it builds on this module

        return streaming.pending(platform, team, source, limit)
    return _pending(Inbox.of(platform, team, source), limit)


def land(platform: Platform, team: Team, source: Source, limit: int | None = None) -> Landed:
    """Land what is pending, at most ``limit`` arrivals; an arrival is a file, or a record of a stream.

    Raises:
        InvalidSpec: the contract file is wrong. CommitConflict: another landing of the source is under way.
    """
    with tracing.span("land", team=team.name, source=source.name) as spanned:
        if source.arrives == STREAM:
            from platform_core.ingestion import streaming

            landed = streaming.catch_up(platform, team, source, limit)
        else:
            landed = _land_files(Inbox.of(platform, team, source), limit, spanned)
        spanned.note(rows=landed.rows, dead_letters=landed.dead, table_version=landed.version)
        return landed


def _land_files(inbox: Inbox, limit: int | None, spanned: Spanned) -> Landed:
    waiting = _pending(inbox, limit)
    spanned.note(arrivals=[arrival.name for arrival in waiting[:TRACED_ARRIVALS]], arrivals_count=len(waiting))
    landed = Landed(0, (), 0, 0, {}, inbox.platform.lake.version(inbox.raw))
    for start in range(0, len(waiting), BATCH):
        landed += _land_batch(inbox, waiting[start : start + BATCH])
    if landed.arrivals:
        which = {"first": waiting[0].name, "last": waiting[-1].name, "refused": len(landed.refused)}
        record_landing(inbox, landed, f"{landed.arrivals} arrivals of {inbox.source}", which)
    return landed


def record_landing(inbox: Inbox, landed: Landed, reason: str, which: Mapping[str, Any]) -> None:
    """Write a landing into the ledger."""
    counts = {"arrivals": landed.arrivals, "rows": landed.rows, "dead": landed.dead, "reasons": dict(landed.reasons)}
    inbox.record(LANDED, reason, {**counts, **which, **tracing.here(version=landed.version)})


def _pending(inbox: Inbox, limit: int | None) -> Sequence[Arrival]:
    every = inbox.platform.event_source.arrivals(inbox.where)
    landed = inbox.platform.lake.committed(inbox.raw, [_application(a.arrival_id) for a in every])
    here = {"source": inbox.where, "contract": inbox.contract.version}
    entries = inbox.platform.ledger.entries(kinds=[REFUSED])
    refused = {entry.details["arrival"] for entry in entries if here.items() <= entry.details.items()}
    return [a for a in every if _application(a.arrival_id) not in landed and a.arrival_id not in refused][:limit]


def _land_batch(inbox: Inbox, batch: Sequence[Arrival]) -> Landed:
    verdicts = [(arrival, _checked(inbox, arrival)) for arrival in batch]
    refused = tuple(verdict for _, verdict in verdicts if isinstance(verdict, Refusal))
    checked = [(arrival, verdict) for arrival, verdict in verdicts if isinstance(verdict, Checked)]
    version = _append(inbox, checked) if checked else inbox.platform.lake.version(inbox.raw)
    rows, dead = sum(len(c.good) for _, c in checked), sum(len(c.bad) for _, c in checked)
    reasons = Counter(reason for _, c in checked for reasons in c.bad["reasons"].to_pylist() for reason in reasons)
    return Landed(len(checked), refused, rows, dead, reasons, version)


def _checked(inbox: Inbox, arrival: Arrival) -> Checked | Refusal:
    """Check one arrival by itself, so that a bad file does not hide among good ones."""
    try:
        rows = inbox.platform.event_source.read(inbox.where, arrival)
        return check_rows(inbox.platform.engine, raw_rows.stamped(rows, arrival), inbox.contract, arrival.name)
    except ContractBroken as error:
        key = f"{REFUSED}:{inbox.where}:{arrival.arrival_id}:{inbox.contract.version}"
        details = {"arrival": arrival.arrival_id, "name": arrival.name, "problem": error.problem, "fix": error.fix}
        inbox.record(REFUSED, error.problem, details, once=key)
        return Refusal(arrival.name, error.problem, error.fix)


def _append(inbox: Inbox, checked: Sequence[tuple[Arrival, Checked]]) -> int:
    """Append letters, then rows: an arrival counts as landed only once nothing of it can be lost."""
    import pyarrow as pa

    lake, applications = inbox.platform.lake, [_application(arrival.arrival_id) for arrival, _ in checked]
    parts = [raw_rows.dated(rows.good, inbox.contract) for _, rows in checked]
    good = pa.concat_tables(parts, promote_options="default")
    letters = pa.concat_tables([letters_of(rows.bad, arrival) for arrival, rows in checked])
    before = lake.committed(inbox.dead_letters, applications)
    if before:  # a landing was killed half-way: what it made dead letters is left to their replay
        dead = _dead_already(inbox, before)
        good, letters = raw_rows.within(good, dead, keep=False), raw_rows.within(letters, dead, keep=False)
    if len(letters):
        arrivals = {_application(arrival_id) for arrival_id in letters[ARRIVAL].unique().to_pylist()}
        lake.append(inbox.dead_letters, letters, {name: before.get(name, 0) + 1 for name in sorted(arrivals)})
    return lake.append(inbox.raw, good, dict.fromkeys(applications, 1))


def _dead_already(inbox: Inbox, before: Mapping[str, int]) -> pa.ChunkedArray:
    import pyarrow as pa
    from pyarrow import compute

    letters = inbox.platform.lake.read(inbox.dead_letters, columns=[ARRIVAL, LINE])
    arrivals = pa.array([name.removeprefix(_application("")) for name in before], pa.string())
    return raw_rows.keys(letters.filter(compute.is_in(letters[ARRIVAL], value_set=arrivals)))


def _application(arrival_id: str) -> str:
    """Name an arrival's transaction, in the raw table and in the dead letters."""
    return f"arrival:{arrival_id}"
