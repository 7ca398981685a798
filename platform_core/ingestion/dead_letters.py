"""Rows that broke their contract: kept as they came, listed, and replayed once the contract or the code is mended."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from platform_core.errors import NotFound
from platform_core.ingestion import raw_rows
from platform_core.ingestion.inbox import Inbox
from platform_core.ingestion.letters import rows_of, schema
from platform_core.names import ARRIVAL, ARRIVED_AT, DATE, LINE

if TYPE_CHECKING:
    import pyarrow as pa

    from platform_core.platform import Platform
    from platform_core.specs import Source, Team
    from platform_core.specs.contract_file import RowContract

REPLAYED = "dead_letters.replayed"


@dataclass(frozen=True)
class Replayed:
    """How many letters became raw rows, and how many still break the contract."""

    replayed: int
    still_dead: int


def dead_letters(platform: Platform, team: Team, source: Source, limit: int = 100) -> pa.Table:
    """List open letters, the newest arrivals first.

    Returns:
        At most ``limit`` rows: ``letter_id``, ``reasons`` (list<string>), ``name`` (of the file), ``line``,
        ``arrived_at`` (UTC, µs), ``row`` (the fields as they came, a JSON object).
    """
    letters = _open(Inbox.of(platform, team, source))
    newest = letters.sort_by([(ARRIVED_AT, "descending"), ("name", "ascending"), (LINE, "ascending")]).slice(0, limit)
    shown = newest.select(["letter_id", "reasons", "name", LINE, ARRIVED_AT, "row"])
    return shown.rename_columns(["letter_id", "reasons", "name", "line", "arrived_at", "row"])


def replay(platform: Platform, team: Team, source: Source) -> Replayed:
    """Check open letters by the contract as it is now; those that keep it become raw rows, known from now on.

    A kill loses and doubles nothing: rows that a replay has landed are found by arrival and line, and only letters
    whose rows are there are closed.

    Raises:
        CommitConflict: another replay of the source is under way.
    """
    inbox = Inbox.of(platform, team, source)
    letters = _open(inbox)
    rows = rows_of(letters, inbox.contract, platform.clock.now())
    mended = raw_rows.dated(platform.engine.check_rows(rows, _row_by_row(inbox.contract)).good, inbox.contract)
    if len(mended):
        _land(inbox, mended)
        _close(inbox, raw_rows.within(letters, _landed(inbox, mended)))
        inbox.record(REPLAYED, f"{len(mended)} of {len(letters)} letters", {"replayed": len(mended)})
    return Replayed(len(mended), len(letters) - len(mended))


def _open(inbox: Inbox) -> pa.Table:
    import pyarrow as pa
    from pyarrow import compute

    lake = inbox.platform.lake
    try:
        letters = lake.read(inbox.dead_letters)
    except NotFound:
        return schema().empty_table()
    if lake.version(inbox.resolved) is None:
        return letters
    closed = lake.read(inbox.resolved, columns=["letter_id"])["letter_id"]
    return letters.filter(compute.invert(compute.is_in(letters["letter_id"], value_set=pa.array(closed))))


def _row_by_row(contract: RowContract) -> RowContract:
    """Leave out what is asked of a file as a whole: letters are those rows of it that are wrong, often all alike."""
    return replace(contract, columns=tuple(replace(column, required=False) for column in contract.columns))


def _landed(inbox: Inbox, rows: pa.Table) -> pa.ChunkedArray:
    """Return the keys of those rows that are in the raw table."""
    from pyarrow import compute

    days = compute.min_max(rows[DATE]).as_py()
    try:
        raw = inbox.platform.lake.read(inbox.raw, columns=[ARRIVAL, LINE], since=days["min"], until=days["max"])
    except NotFound:
        raw = rows.slice(0, 0)
    return raw_rows.keys(raw_rows.within(rows, raw_rows.keys(raw)))


def _land(inbox: Inbox, rows: pa.Table) -> None:
    lake = inbox.platform.lake
    missing = raw_rows.within(rows, _landed(inbox, rows), keep=False)
    if len(missing):
        applications = sorted(f"replay:{arrival_id}" for arrival_id in missing[ARRIVAL].unique().to_pylist())
        before = lake.committed(inbox.raw, applications)
        lake.append(inbox.raw, missing, {name: before.get(name, 0) + 1 for name in applications})


def _close(inbox: Inbox, letters: pa.Table) -> None:
    import pyarrow as pa

    now = raw_rows.instants(inbox.platform.clock.now(), len(letters))
    closed = {"letter_id": letters["letter_id"], "resolved_at": now, DATE: raw_rows.dates(pa.chunked_array([now]))}
    inbox.platform.lake.append(inbox.resolved, pa.table(closed))
