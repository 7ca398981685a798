"""Pagination of open dead letters, with counts by day and reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

from loopline.platform_core.errors import NotFound
from loopline.platform_core.foundation.names import DATE, closed_letter_table, dead_letter_table
from loopline.platform_core.ingestion.letters.letters import ID, SHOWN, in_order, schema, shown
from loopline.platform_core.ingestion.letters.open_letters import closed_ids, without

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.contracts.lake import Lake

ALL = ""
"""In the place of a reason: whatever the reason."""


@dataclass(frozen=True)
class Counts:
    """Open letters of a source as they were at one version of its tables; pages of them are read at that version.

    ``days`` has, by reason (``ALL``: every letter once), the number by UTC day of arrival, the newest day first; a
    letter with two reasons counts under both.
    """

    team: str
    source: str
    versions: tuple[int | None, int | None]
    days: Mapping[str, Mapping[date, int]]
    closed: pa.ChunkedArray | None = field(default=None, repr=False, compare=False)

    @property
    def letters(self) -> int:
        """Return how many letters are open."""
        return self.of(ALL)

    @property
    def reasons(self) -> dict[str, int]:
        """Return how many letters have a reason, the most frequent first."""
        found = {reason: self.of(reason) for reason in self.days if reason != ALL}
        return dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0])))

    def of(self, reason: str) -> int:
        """Return how many open letters have a reason."""
        return sum(self.days.get(reason, {}).values())


def count(lake: Lake, team: str, source: str, known: Counts | None = None) -> Counts:
    """Count the open letters of a source; ``known`` is given back while its tables have not changed.

    It reads two narrow columns of every letter, and the ids once some were replayed.
    """
    table = dead_letter_table(team, source)
    versions = lake.version(table), lake.version(closed_letter_table(team, source))
    if known is not None and (known.team, known.source, known.versions) == (team, source, versions):
        return known
    if versions[0] is None:
        return Counts(team, source, versions, {})
    closed = closed_ids(lake, closed_letter_table(team, source))
    columns = [DATE, "reasons", *([ID] if closed is not None else [])]
    letters = lake.read(table, version=versions[0], columns=columns)
    return Counts(team, source, versions, _days(without(letters, closed)), closed)


def page(lake: Lake, counts: Counts, reason: str = ALL, offset: int = 0, size: int = 50) -> pa.Table:
    """Read one page of the letters that were counted, the newest arrivals first, then by file and line.

    What landed or was replayed since moves no page: those of one count are together each of its letters once.

    Returns:
        At most ``size`` rows, as ``letters.shown`` lays them out.
    """
    import pyarrow as pa

    skipped, days = _days_of_page(counts.days.get(reason, {}), offset, size)
    if not days:
        return shown(schema().empty_table())
    table = dead_letter_table(counts.team, counts.source)
    when = dict[str, Any](version=counts.versions[0], since=min(days), until=max(days))
    narrow = without(lake.read(table, columns=[c for c in SHOWN if c != "row"], **when), counts.closed)
    wanted = in_order(_with(narrow, reason)).slice(offset - skipped, size)
    rows = lake.read(table, columns=list(SHOWN), among={ID: pa.array(wanted[ID].to_pylist(), pa.string())}, **when)
    return shown(in_order(rows))


def fields(lake: Lake, counts: Counts, reason: str = ALL) -> list[str]:
    """Name every field of the rows of the letters that were counted; a day of them is read at a time."""
    import orjson

    table, names = dead_letter_table(counts.team, counts.source), dict[str, None]()
    for day in counts.days.get(reason, {}):
        when = dict[str, Any](version=counts.versions[0], since=day, until=day)
        letters = _with(without(lake.read(table, columns=[ID, "reasons", "row"], **when), counts.closed), reason)
        for row in letters["row"]:
            names |= dict.fromkeys(orjson.loads(row.as_py()))
    return list(names)


def letter(lake: Lake, team: str, source: str, letter_id: str, day: date | None = None) -> dict[str, Any]:
    """Return one letter, open or closed, as ``page`` describes it, with ``resolved_at`` (None while open).

    Who knows the ``day`` of its arrival (UTC) spares the others.

    Raises:
        NotFound: there is no such letter.
    """
    import pyarrow as pa

    table, closed_table = dead_letter_table(team, source), closed_letter_table(team, source)
    among = {ID: pa.array([letter_id], pa.string())}
    held = lake.version(table) is not None
    rows = lake.read(table, columns=list(SHOWN), since=day, until=day, among=among) if held else schema().empty_table()
    if not len(rows):
        raise NotFound(f"{team}/{source} has no dead letter {letter_id!r}", "list them: loopline dead-letters list")
    closed = None
    if lake.version(closed_table) is not None:
        closed = next(iter(lake.read(closed_table, among=among)["resolved_at"].to_pylist()), None)
    return {**shown(rows).to_pylist()[0], "resolved_at": closed}


def _days(letters: pa.Table) -> dict[str, dict[date, int]]:
    """Count letters by reason and day."""
    import pyarrow as pa
    from pyarrow import compute

    reasons = letters["reasons"].combine_chunks()
    by_reason = pa.table({"day": letters[DATE].take(compute.list_parent_indices(reasons)), "reason": reasons.flatten()})
    every = pa.table({"day": letters[DATE], "reason": pa.repeat(ALL, len(letters))})
    counted = pa.concat_tables([every, by_reason]).group_by(["reason", "day"]).aggregate([([], "count_all")])
    days: dict[str, dict[date, int]] = {}
    for row in counted.sort_by([("day", "descending")]).to_pylist():
        days.setdefault(row["reason"], {})[row["day"]] = row["count_all"]
    return days


def _days_of_page(days: Mapping[date, int], offset: int, size: int) -> tuple[int, list[date]]:
    """Return how many letters lie before the days of a page, and those days."""
    found, before, skipped = [], 0, 0
    for day, letters in days.items():
        if before + letters <= offset:
            skipped = before + letters
        elif before < offset + size:
            found.append(day)
        before += letters
    return skipped, found


def _with(letters: pa.Table, reason: str) -> pa.Table:
    import pyarrow as pa
    from pyarrow import compute

    if reason == ALL:
        return letters
    reasons = letters["reasons"].combine_chunks()
    places = compute.list_parent_indices(reasons).filter(compute.equal(reasons.flatten(), pa.scalar(reason)))
    return letters.take(places.unique())
